"""Where problems and solutions come from, and which columns to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from openr_data.problems import ProblemSource

_PANEL = "Input"


@dataclass(frozen=True, slots=True)
class _Columns:
    split: Annotated[str, typer.Option("--split", help="Split of a Hub data set.", rich_help_panel=_PANEL)] = ""
    config_name: Annotated[
        str, typer.Option("--config-name", help="Configuration of a Hub data set.", rich_help_panel=_PANEL)
    ] = ""
    data_revision: Annotated[str, typer.Option("--data-revision", help="Revision of a Hub data set.", rich_help_panel=_PANEL)] = (
        ""
    )
    question_field: Annotated[str, typer.Option("--question-field", help="Column of the question.", rich_help_panel=_PANEL)] = ""
    answer_field: Annotated[str, typer.Option("--answer-field", help="Column of the answer.", rich_help_panel=_PANEL)] = ""
    id_field: Annotated[str, typer.Option("--id-field", help="Column of the id.", rich_help_panel=_PANEL)] = ""
    limit: Annotated[int, typer.Option("--limit", min=0, help="Use the first N rows (0: all).", rich_help_panel=_PANEL)] = 0

    def _source(self, location: str, **more: Any) -> ProblemSource:
        from openr_data.problems import ProblemSource

        return ProblemSource(
            location=location,
            config=self.config_name,
            split=self.split,
            revision=self.data_revision,
            question_field=self.question_field,
            answer_field=self.answer_field,
            id_field=self.id_field,
            limit=self.limit,
            **more,
        )


@dataclass(frozen=True, slots=True)
class ProblemOptions(_Columns):
    count: Annotated[int, typer.Option("--count", min=1, help="Problems of the built-in task.", rich_help_panel=_PANEL)] = 100
    difficulty: Annotated[
        int, typer.Option("--difficulty", min=0, help="Operations per built-in problem (0: the default).", rich_help_panel=_PANEL)
    ] = 0

    def source(self, location: str, seed: int) -> ProblemSource:
        from openr_data.problems.arithmetic import DEFAULT_DIFFICULTY

        return self._source(location, count=self.count, difficulty=self.difficulty or DEFAULT_DIFFICULTY, seed=seed)


@dataclass(frozen=True, slots=True)
class SolutionOptions(_Columns):
    steps_field: Annotated[str, typer.Option("--steps-field", help="Column of the steps.", rich_help_panel=_PANEL)] = ""

    def source(self, location: str) -> ProblemSource:
        return self._source(location, steps_field=self.steps_field)
