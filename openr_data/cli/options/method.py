"""The labelling method and its settings: which method reads which is declared with the option, told in the help, and held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.cli.options.sampling import VerdictOptions
    from openr_data.labelers import LabelConfig

_PANEL = "Method"
_SEARCHES = 20
_FEW = 2
_NAMES = {"fit_pilot": "pilot"}
_OFF = {"exact_counts": "--early-stop", "reuse_passing": "--no-reuse-passing", "perplexity": "--no-perplexity"}
_OF_POSTERIOR = ("confidence", "cap", "fit_pilot")

METHODS = ("omegaprm", "adaptive", "math-shepherd", "mips", "scan", "epicprm", "genprm", "er-prm", "pav", "consensus")
"""For the help: importing the labelers would cost every command its start."""
Method = Annotated[
    str,
    typer.Option("--method", help=f"{', '.join(METHODS[:-1])} or {METHODS[-1]}.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True, slots=True)
class ReadBy:
    """Stands next to an option that not every method reads; given together with another method, the option is refused."""

    methods: tuple[str, ...]

    @property
    def panel(self) -> str:
        return f"{_PANEL} {', '.join(self.methods)}" if len(self.methods) <= _FEW else _PANEL

    @property
    def shown(self) -> str:
        """What the panel does not say."""
        return f" ({', '.join(self.methods)})" if len(self.methods) > _FEW else ""


_TREE = ReadBy(("omegaprm", "adaptive"))
_ADAPTIVE = ReadBy(("adaptive",))
_SHEPHERD = ReadBy(("math-shepherd",))
_COUNTING = ReadBy(("omegaprm", "math-shepherd", "mips", "scan", "epicprm", "genprm"))
_PASSED = ReadBy(("omegaprm", "adaptive", "math-shepherd", "mips", "scan"))
_ROOTED = ReadBy(("omegaprm", "adaptive", "scan", "epicprm", "genprm"))
_SCAN = ReadBy(("scan",))
_EPIC = ReadBy(("epicprm",))
_GENPRM = ReadBy(("genprm",))
_ER = ReadBy(("er-prm",))
_PAV = ReadBy(("pav",))
_CONSENSUS = ReadBy(("consensus",))

_STEPS = "semantic (the separator's), or tokens (OmegaPRM's equal token spans, 16 per average solution)."
_EXACT = (
    "All rollouts of a prefix, so that its value is unbiased, or none after its first right one, which changes no hard label. "
    "Default: stop early, but for mips and soft estimates."
)
_PASSING = (
    "Whether rollouts that pass through a prefix count there too: as good as its own, but other ones, so single labels can "
    "differ from those without."
)
_FILTER = "From the question itself: its filter (omegaprm, adaptive; 0: off) or its value (0: as many as -k)."
_IGNORE = "A right rollout that takes back a step of its prefix is a failure there (NAIT's success filter). Default: it counts."
_PATTERN = "Regular expression for such a text; a group `step` names the number of the step that is taken back."
_PERPLEXITY = "Weigh rollouts by their perplexity, where the engine tells log-probabilities."
_FINISH = "posterior: the true first error of a policy that may correct itself; certified: OmegaPRM's evidence, for less."
_CONFIDENCE = "A search ends when its first error is this probable (posterior)."
_CAP = "Rollouts per solution, then it is called uncertain; 0: as many as a binary search with k draws (posterior)."
_FIT = "Wrong solutions, labelled first, that fit the model of the policy (posterior); 0: the default model."
_ESTIMATES = "hard: right solutions are free; soft: measure them too."


def _option(*flags: str, help: str, default: object = None, readers: ReadBy | None = None, **bounds: Any) -> Any:  # noqa: A002
    shown = help + (readers.shown if readers else "") + ("" if default is None else rf" [dim]\[default: {default}][/dim]")
    return typer.Option(*flags, help=shown, rich_help_panel=readers.panel if readers else _PANEL, **bounds)


def _flag(name: str, value: object) -> str:
    """The option as it was written."""
    return _OFF.get(name, name) if value is False else f"--{name.replace('_', '-')}"


def _told(methods: Sequence[str]) -> str:
    """Who reads an option, as the end of a sentence.

    >>> _told(["scan"]), _told(["scan", "mips"]), _told(["scan", "mips", "pav"])
    ('scan reads', 'scan and mips read', 'scan, mips and pav read')
    """
    *others, last = methods
    return f"{', '.join(others)} and {last} read" if others else f"{last} reads"


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """Each is a value of `LabelConfig`, most by the same name; `None`: not given, so the configuration's own."""

    rollouts: Annotated[int | None, _option("--rollouts", "-k", min=1, help="Rollouts per measured prefix.", default=8)] = None
    steps: Annotated[str, _option("--steps", help=_STEPS)] = "semantic"
    exact_counts: Annotated[bool | None, _option("--exact-counts/--early-stop", help=_EXACT, readers=_COUNTING), _COUNTING] = None
    reuse_passing: Annotated[
        bool | None,
        _option("--reuse-passing/--no-reuse-passing", help=_PASSING, default="reuse-passing", readers=_PASSED),
        _PASSED,
    ] = None
    filter_rollouts: Annotated[
        int | None,
        _option("--filter-rollouts", min=0, help=_FILTER, default=32, readers=_ROOTED),
        _ROOTED,
    ] = None
    searches: Annotated[
        int | None,
        _option("--searches", min=0, help="Searches of the tree's own rollouts.", default=_SEARCHES, readers=_TREE),
        _TREE,
    ] = None
    rollout_limit: Annotated[
        int | None,
        _option("--rollout-limit", min=0, help="Rollouts per problem; 0: no limit.", default=0, readers=_TREE),
        _TREE,
    ] = None
    alpha: Annotated[float | None, _option("--alpha", help="Of Q, OmegaPRM Eq. 2.", default=0.5, readers=_TREE), _TREE] = None
    beta: Annotated[float | None, _option("--beta", help="Of Q, OmegaPRM Eq. 2.", default=0.9, readers=_TREE), _TREE] = None
    length: Annotated[
        float | None, _option("--length", help="L of Q in tokens, OmegaPRM Eq. 2.", default=500, readers=_TREE), _TREE
    ] = None
    c_puct: Annotated[float | None, _option("--c-puct", help="Of U, OmegaPRM Eq. 3.", default=0.125, readers=_TREE), _TREE] = None
    finish: Annotated[str | None, _option("--finish", help=_FINISH, default="posterior", readers=_ADAPTIVE), _ADAPTIVE] = None
    confidence: Annotated[
        float | None,
        _option("--confidence", min=0.0, max=1.0, help=_CONFIDENCE, default=0.9, readers=_ADAPTIVE),
        _ADAPTIVE,
    ] = None
    cap: Annotated[int | None, _option("--cap", min=0, help=_CAP, default=0, readers=_ADAPTIVE), _ADAPTIVE] = None
    fit_pilot: Annotated[int | None, _option("--fit-pilot", min=0, help=_FIT, default=160, readers=_ADAPTIVE), _ADAPTIVE] = None
    estimates: Annotated[str | None, _option("--estimates", help=_ESTIMATES, default="hard", readers=_SHEPHERD), _SHEPHERD] = None

    confidence_floor: Annotated[
        float | None,
        _option("--confidence-floor", help="Least share of right root rollouts of a question.", default=0, readers=_SCAN),
        _SCAN,
    ] = None
    root_share: Annotated[
        float | None,
        _option("--root-share", help="A prefix below this share of the question's value is bad.", default=0.5, readers=_EPIC),
        _EPIC,
    ] = None
    perplexity: Annotated[
        bool | None, _option("--perplexity/--no-perplexity", help=_PERPLEXITY, default="perplexity", readers=_EPIC), _EPIC
    ] = None
    progress: Annotated[
        float | None,
        _option("--progress", help="A step that keeps less than this share of its value is bad.", default=0.8, readers=_GENPRM),
        _GENPRM,
    ] = None
    eta: Annotated[float | None, _option("--eta", help="Near 0: the mean; large: any hit.", default=1, readers=_ER), _ER] = None
    best_of: Annotated[
        int | None, _option("--best-of", min=1, help="K of the prover, best-of-K of the engine.", default=4, readers=_PAV), _PAV
    ] = None
    drop: Annotated[
        float | None,
        _option("--drop", help="First errors: an advantage below minus this; 0: none are named.", default=0, readers=_PAV),
        _PAV,
    ] = None
    agree_with: Annotated[
        str | None,
        _option("--agree-with", help="Method that has to agree with the judge.", default="omegaprm", readers=_CONSENSUS),
        _CONSENSUS,
    ] = None
    votes: Annotated[
        int | None, _option("--votes", min=1, help="Of the judge, per solution.", default=5, readers=_CONSENSUS), _CONSENSUS
    ] = None
    ignore_repairs: Annotated[bool | None, _option("--ignore-repairs/--count-repairs", help=_IGNORE)] = None
    repair_pattern: Annotated[str | None, _option("--repair-pattern", help=_PATTERN)] = None

    def label_config(self, method: str, verdicts: VerdictOptions) -> LabelConfig:
        """The configuration of `method`, from the options that it reads."""
        from openr_data.labelers import LabelConfig

        if self.steps not in {"semantic", "tokens"}:
            raise UsageError(f"--steps is semantic or tokens, not '{self.steps}'")
        reading = self._reading(method)
        given = {name: value for name, value, readers in self._given() if not readers or reading & set(readers.methods)}
        given = {_NAMES.get(name, name): value for name, value in given.items()}
        return LabelConfig(
            **{"searches": _SEARCHES, **given},
            method=method,
            truncated=verdicts.of_truncated,
            ungradable=verdicts.of_ungradable,
            spans=16 if self.steps == "tokens" else 0,
        )

    def read_by(self, methods: Sequence[str]) -> MethodOptions:
        """Itself; raises `UsageError` for an option that was given and that none of these methods reads."""
        reading = {each for method in methods for each in self._reading(method)}
        if self.repair_pattern is not None and not self.ignore_repairs:
            raise UsageError("--repair-pattern says how a repair is known: it is read with --ignore-repairs only")
        for name, value, readers in self._given():
            if name in _OF_POSTERIOR and self.finish == "certified":
                raise UsageError(f"{_flag(name, value)} belongs to --finish posterior and says nothing to --finish certified")
            if readers and not reading & set(readers.methods):
                raise UsageError(
                    f"{_flag(name, value)} says nothing to --method {' or '.join(methods)}: only {_told(readers.methods)} it"
                )
        return self

    def beside_prover(self) -> MethodOptions:
        """Itself, where a prover was chosen; raises `UsageError` for an option that is read without one only."""
        if self.best_of is not None:
            raise UsageError("--best-of makes a prover of the method's own engine: with --prover it says nothing")
        return self

    def _reading(self, method: str) -> set[str]:
        """The methods whose options are read: consensus has another method under it."""
        return {method, self.agree_with or "omegaprm"} if method == "consensus" else {method}

    def _given(self) -> Iterator[tuple[str, Any, ReadBy | None]]:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name != "steps":
                readers = (extra for extra in hints[field.name].__metadata__ if isinstance(extra, ReadBy))
                yield field.name, value, next(readers, None)
