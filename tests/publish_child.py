"""A process that publishes a run of the tests with a plain card, to be killed. It says `ready` when everything is loaded.

    python publish_child.py RUN (repo OWNER/NAME | to URL)

The Hub and the token are those of HF_ENDPOINT and HF_TOKEN.
"""

from __future__ import annotations

import sys
from pathlib import Path

import huggingface_hub.hf_api  # noqa: F401  # loaded before the clock starts
from publishing import options

import openr_data.store.split_files  # noqa: F401
from openr_data.hub.retry import Patience
from openr_data.pipelines.publishing.folder import FolderTarget
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import publish


def main() -> None:
    run, kind, name = sys.argv[1:]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    target = HubTarget(name) if kind == "repo" else FolderTarget(name)
    published = publish(Path(run), target, options(patience=Patience(first=0.1)))
    sys.stdout.write(f"{published.status} {published.tag}\n")


if __name__ == "__main__":
    main()
