"""`openr-data prm publish`: a process reward model goes to the Hub, or to a folder, as one version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import print_json, warn
from openr_data.cli.options.publishing import HUB, Branch, Message, Public, PublishDryRun, To, VersionTag
from openr_data.cli.publish import sending_shown, show_published
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.pipelines.publishing.folder import FolderTarget
    from openr_data.pipelines.publishing.hub import HubTarget

_CARD = "Card"


def publish(
    model: Annotated[Path, typer.Argument(help="Folder of a process reward model.", show_default=False)],
    repo: Annotated[
        str, typer.Option("--repo", help="Model repository on the Hub, OWNER/NAME.", show_default=False, rich_help_panel=HUB)
    ] = "",
    to: To = "",
    public: Public = False,
    revision: Branch = "main",
    tag: VersionTag = "",
    message: Message = "",
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Also where another model is, or our files were changed by hand: this model takes its place.",
            rich_help_panel=HUB,
        ),
    ] = False,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluation",
            metavar="DIR",
            help="What `prm evaluate` wrote of this model (default: what `prm card` took over).",
            show_default=False,
            rich_help_panel=_CARD,
        ),
    ] = None,
    licence: Annotated[
        str,
        typer.Option(
            "--license",
            metavar="ID",
            help="Licence of the model, such as mit or apache-2.0; none is invented.",
            rich_help_panel=_CARD,
        ),
    ] = "",
    dry_run: PublishDryRun = False,
    as_json: options.Json = False,
) -> None:
    """Publish a process reward model with its card, in one commit.

    Weights in safetensors, configuration, tokenizer, card, evaluation and training records go; checkpoints, optimizer states,
    pickles and code never do. The repository is made private unless --public is given. The token is that of HF_TOKEN or of
    `hf auth login`; it needs permission to write. Whatever goes wrong, readers see the old version or the new one, and the same
    command continues: what has arrived is not sent again. Publishing the same model again changes nothing.

    A repository of something else, or of a model with another base, head, template or tag, is refused; --replace puts this model
    in its place. Text that people have written into the README.md of the repository stays. Exits with 8 where the Hub refuses.

    openr-data prm publish my-prm --repo my-org/my-prm --license apache-2.0
    """
    from openr_data.hub.retry import Patience
    from openr_data.pipelines.prm.model_card import ModelCardOptions
    from openr_data.pipelines.prm.publishing import ModelPublishOptions, publish_model

    target = _target(repo, to, public=public, revision=revision, tag=tag, replace=replace)
    card = ModelCardOptions(evaluation, licence)
    with sending_shown(quiet=dry_run) as sending:
        patience = Patience(2 if dry_run else 6, note=warn)
        published = publish_model(model, target, ModelPublishOptions(card, message, dry_run, patience, sending))
    if as_json:
        print_json(published.plain())
    else:
        show_published(published)


def _target(repo: str, to: str, *, public: bool, revision: str, tag: str, replace: bool) -> HubTarget | FolderTarget:
    from openr_data.pipelines.publishing.folder import FolderTarget
    from openr_data.pipelines.publishing.hub import HubTarget

    if bool(repo) == bool(to):
        raise UsageError("say where to publish: --repo OWNER/NAME for the Hub, or --to FOLDER")
    if to and (public or tag or replace or revision != "main"):
        raise UsageError("--public, --revision, --tag and --replace are for --repo; a folder has none of them")
    return HubTarget(repo, public, revision, tag, replace).checked() if repo else FolderTarget(to)
