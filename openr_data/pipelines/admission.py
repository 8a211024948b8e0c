"""May this run begin? What it is, and every refusal that needs no model: the directory, the runs it reuses, its first item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from openr_data.errors import InputError, RunDirError
from openr_data.graders import GRADERS, GradingPolicy
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.plan import Stage
from openr_data.problems import ProblemSource, Reject, source_kind
from openr_data.store.codecs import plain_config
from openr_data.store.opening import JOURNAL, begun_parts, directory
from openr_data.store.parts import ARROW
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import PREPARED, RunIdentity, RunRecord


def identity_of(stage: Stage[Any], engine: str, grader: str, engines: Mapping[str, str]) -> RunIdentity:
    """What the run of a stage is, with the identities of the loaded engine, grader and second engines."""
    # The shard size is compared on its own; the Arrow copy can be added to a run later.
    run = {name: value for name, value in plain_config(portable(stage.config)).items() if name not in {"shard_size", "format"}}
    config = {"run": run, "grader": grader, **({"engines": dict(engines)} if engines else {})}
    return RunIdentity(stage.command, config, engine, stage.inputs, stage.tables, stage.shard_items)


def portable(config: Any) -> Any:
    """The configuration without the folders its inputs lie in: their content is known by its hash, and a run may move."""

    def moved(source: ProblemSource | None) -> ProblemSource | None:
        return source and (replace(source, location=source.path.name) if source_kind(source) == "path" else source)

    changes = {name: moved(getattr(config, name)) for name in ("source", "answers") if hasattr(config, name)}
    return replace(config, **changes)


def check_early(stage: Stage[Any], options: RunOptions, *, in_parts: bool = False) -> None:
    """Refuse a wrong directory or input before a model is loaded or a run begun: only the engine's identity is not known yet.

    `in_parts`: an executor does the run in parts below its directory, and a resumed one may find them there.
    """
    for path in reused(stage, options):
        if not (path / JOURNAL).is_file():
            raise RunDirError(f"{path} has no completions to reuse: there is no {JOURNAL} in it")
    if options.fork_of is not None and not (options.fork_of / RUN).is_file():
        raise RunDirError(f"{options.fork_of} cannot be forked: it is not a run directory, it has no {RUN}")
    directory(options.out, "new" if options.mode != "resume" else "merge" if in_parts else "resume")
    if (options.out / RUN).exists():
        RunRecord.load(options.out).compare_share(options.part, options.out)
    begun = [*([options.out] if (options.out / RUN).exists() else []), *(begun_parts(options.out) if in_parts else [])]
    for path in begun:
        _compare(stage, path)
    if not begun:
        _first_item(stage, strict=options.strict)


def _compare(stage: Stage[Any], path: Path) -> None:
    record = RunRecord.load(path)
    grader = GRADERS[stage.grader](GradingPolicy()).identity
    known = record.identity["config"].get("engines", {})
    engines = {name: str(known.get(name, "none")) for name in stage.models}
    record.compare(identity_of(stage, str(record.identity.get("engine", "")), grader, engines), path)


def reused(stage: Stage[Any], options: RunOptions) -> tuple[Path, ...]:
    return tuple(dict.fromkeys((*options.reuse, *stage.reuse)))


def prepared_elsewhere(paths: Sequence[Path], digest: str) -> Mapping[str, Any]:
    """What another attempt at this very run, or a part of it, has found out before its first item; empty where none has."""
    for path in paths:
        with suppress(RunDirError):  # of another version: its completions are of use all the same
            if is_prepared(path) and (record := RunRecord.load(path)).digest == digest:
                return {name: value for name, value in record.settings.items() if name != ARROW}
    return {}


def is_prepared(path: Path) -> bool:
    """Does this run, or part of one, know what it wanted to know before its first item?"""
    return (path / RUN).is_file() and bool(RunRecord.load(path).settings.get(PREPARED))


def _first_item(stage: Stage[Any], *, strict: bool) -> None:
    """Raises `InputError` where there is none: a run that cannot begin leaves no run directory in the way of the next try."""
    rejected = 0
    for item in stage.items():
        if not isinstance(item, Reject):
            return
        if strict:
            raise refused(item)
        rejected += 1
    raise InputError(f"{stage.config.source.location} holds no problem that can be used ({rejected} rejected)")


def refused(reject: Reject) -> InputError:
    where = f"{reject.file} line {reject.line}"
    return InputError(f"{where}: {reject.reason} ({reject.detail}); without --strict it is kept aside")
