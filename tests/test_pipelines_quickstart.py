"""The quickstart's comparison: which solutions it compares, with what truth, and who shares the cost."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from rich.console import Console

from openr_data.cli.quickstart_prm import prm_json, show_prm
from openr_data.engines import EngineLimits, EngineSpec
from openr_data.pipelines.quickstart import QuickstartConfig, quickstart
from openr_data.pipelines.quickstart_prm import PRMStage
from openr_data.prm.config import PRMConfig
from openr_data.problems.oracle import judge
from openr_data.store.read import RunReader


def test_the_comparison_is_about_given_wrong_solutions_and_the_cost_about_all_labelled_ones(tmp_path: Path) -> None:
    config = QuickstartConfig(
        problems=4, solutions=3, rollouts=2, filter_rollouts=4, searches=1, engine=EngineSpec("builtin"), prm=PRMStage(problems=0)
    )
    report = quickstart(config, tmp_path, EngineLimits(device="cpu"))
    for method in report.methods:
        items = list(RunReader.open(Path(method.out)).items())
        given = [(item, one) for item in items for one in item.labeled if one.origin == "given"]
        wrong = [(item, one) for item, one in given if one.solution.verdict.outcome == "wrong"]
        found = [(one.first_error, judge(item.problem.question, one.solution.steps).first_wrong_state) for item, one in wrong]
        rollouts = sum(len(node.rollouts) for item in items for node in item.nodes)
        labelled = sum(len(item.labeled) for item in items)
        assert (method.given, method.labelled, method.wrong.solutions) == (12, labelled, len(wrong))
        assert method.wrong.decided == sum(said is not None for said, _ in found)
        assert method.wrong.exact == sum(said == true for said, true in found)
        assert method.cost.rollouts == rollouts
        assert method.rollouts_per_solution == rollouts / labelled
    assert sum(method.wrong.decided for method in report.methods) > 0
    by_method = {method.method: method for method in report.methods}
    assert by_method["omegaprm"].labelled >= by_method["mips"].labelled == 12
    # MiPS measures right solutions as well, and finds the rollouts of Math-Shepherd in its journal.
    assert by_method["mips"].cost.rollouts > by_method["math-shepherd"].cost.rollouts
    assert by_method["mips"].wrong == by_method["math-shepherd"].wrong
    card = (tmp_path / "omegaprm" / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\((figures/[a-z-]+\.png)\)", card)
    assert len(shown) == 6
    assert all((tmp_path / "omegaprm" / name).is_file() for name in shown)
    assert f"| Given solutions with a wrong answer | {by_method['omegaprm'].wrong.solutions} |" in card


def test_it_ends_with_a_model_and_its_choices_on_other_problems_and_goes_on_where_it_was(tmp_path: Path) -> None:
    stage = PRMStage(problems=12, solutions=4, pilot=4, held_out=4, candidates=4)
    config = QuickstartConfig(
        problems=2, solutions=2, rollouts=2, filter_rollouts=2, searches=0, methods=("omegaprm",), prm=stage
    )
    first = quickstart(config, tmp_path, EngineLimits(device="cpu")).prm
    assert first is not None
    assert (first.steps.solutions, first.best_of_n.questions, first.best_of_n.sizes) == (16, 4, (1, 2, 4))
    assert 0 < first.rows <= 48
    assert PRMConfig.load(tmp_path / "prm").head == "likelihood"
    assert (tmp_path / "prm-evaluation" / "report.md").is_file()
    seen = {item.problem.question for name in ("solutions", "prm-solutions") for item in RunReader.open(tmp_path / name).items()}
    assert not seen & {item.problem.question for item in RunReader.open(tmp_path / "prm-candidates").items()}
    weights = (tmp_path / "prm" / "model.safetensors").read_bytes()
    again = quickstart(config, tmp_path, EngineLimits(device="cpu")).prm
    assert (again, (tmp_path / "prm" / "model.safetensors").read_bytes()) == (first, weights)
    plain = prm_json(first)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["rows"] == first.rows
    console = Console(width=80, record=True, file=io.StringIO())
    show_prm(console, first)
    shown = console.export_text()
    assert re.search(r"mean-vote( +\d+\.\d){3}", shown)
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
