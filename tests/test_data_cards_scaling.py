"""The scaling figure: every point and interval is in it, names do not overlap, the same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy
import pytest

from openr_data.data_cards.scaling_axes import accuracy_limits, powers, token_limits
from openr_data.data_cards.scaling_figure import Role, ScalingCurve, ScalingPoint, save_scaling, scaling_figure
from openr_data.data_cards.scaling_lines import looks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curve(name: str, *accuracies: float, role: Role = "strategy", known: bool = True, tokens: float = 200) -> ScalingCurve:
    """Budgets 1, 2, 4, ...; intervals of 4 points and of a tenth of the tokens."""
    points = []
    for place, value in enumerate(accuracies):
        at = tokens * 2**place
        ends = (0.9 * at, 1.1 * at, value - 0.04, value + 0.04) if known else (None,) * 4
        points.append(ScalingPoint(2**place, at, ends[0], ends[1], value, ends[2], ends[3]))
    return ScalingCurve(name, tuple(points), role)


MAJORITY = curve("majority", 0.48, 0.55, 0.6, role="baseline")
BOUND = curve("pass@n", 0.48, 0.62, 0.75, role="bound")
BEAM = curve("beam", 0.49, 0.58, 0.64, tokens=230)
GREEDY = curve("greedy", 0.52)
ALL = (MAJORITY, BOUND, BEAM, GREEDY)


def axes_of(curves: Sequence[ScalingCurve], **options: object) -> list[Axes]:
    return scaling_figure(curves, title="MATH", questions=500, **options).axes  # type: ignore[arg-type]


def lines(axes: Axes) -> dict[str, numpy.ndarray]:
    return {str(line.get_label()): numpy.asarray(line.get_xydata()) for line in axes.get_lines()}


def drawn(axes: Axes) -> list[numpy.ndarray]:
    """The corners of every band and whisker."""
    return [numpy.asarray(path.vertices) for held in axes.collections for path in held.get_paths()]


def holds(shapes: Sequence[numpy.ndarray], *places: tuple[float, float]) -> bool:
    return any(all(numpy.isclose(shape, place).all(axis=1).any() for place in places) for shape in shapes)


def test_every_point_and_interval_is_in_the_figure() -> None:
    (axes,) = axes_of(ALL)
    shown, shapes = lines(axes), drawn(axes)
    for each in ALL:
        assert shown[each.name] == pytest.approx(numpy.array([(p.tokens, 100 * p.accuracy) for p in each.points]))
        ends = [(p.tokens, 100 * end) for p in each.points for end in (p.accuracy_low, p.accuracy_high) if end is not None]
        assert len(ends) == 2 * len(each.points)
        assert holds(shapes, *ends)
        for point in each.points:
            assert point.tokens_low
            assert point.tokens_high
            assert holds(shapes, (point.tokens_low, 100 * point.accuracy), (point.tokens_high, 100 * point.accuracy))


def test_a_curve_without_intervals_is_drawn_alone() -> None:
    (axes,) = axes_of([curve("beam", 0.5, 0.6, known=False)])
    assert lines(axes)["beam"][:, 1] == pytest.approx([50, 60])
    assert not drawn(axes)
    assert "intervals" not in axes.get_xlabel()
    assert "intervals" in axes_of([BEAM])[0].get_xlabel()


def test_roles_look_as_they_are_called() -> None:
    (axes,) = axes_of(ALL)
    shown = {line.get_label(): line for line in axes.get_lines()}
    assert (shown["majority"].get_color(), shown["majority"].get_linestyle()) == ("#222222", "-")
    assert (shown["pass@n"].get_color(), shown["pass@n"].get_linestyle()) == ("#777777", "--")
    assert shown["beam"].get_color() != shown["greedy"].get_color()


def test_twenty_strategies_look_different_without_colours_too() -> None:
    looks = looks_of([curve(str(number), 0.5) for number in range(20)]).values()
    assert len({(look["color"], look["marker"], look["linestyle"]) for look in looks}) == 20
    assert len({(look["marker"], look["linestyle"]) for look in looks}) == 20


def test_ticks_are_powers_of_two_and_percents() -> None:
    (axes,) = axes_of(ALL)
    assert list(axes.get_xticks()) == [256, 512, 1024]  # from 180 to 1,012 tokens, with some room
    assert axes.xaxis.get_major_formatter()(16384.0, 0) == "16,384"
    assert axes.yaxis.get_major_formatter()(60.0, 0) == "60 %"
    assert "MATH, 500 questions" in axes.get_title(loc="left")


def test_scales_by_hand() -> None:
    assert powers(3, 70, 3) == [4, 16, 64]
    low, high = token_limits([GREEDY])
    assert low < 180
    assert high > 220
    assert len(powers(low, high, 9)) == 2
    assert accuracy_limits([curve("sure", 1.0, known=False)]) == (98.0, 101.0)


def test_one_wide_whisker_does_not_squeeze_the_lines() -> None:
    wide = ScalingCurve("wide", (ScalingPoint(1, 1000, 1, 1_000_000, 0.5, None, None),))
    low, high = token_limits([wide])
    assert 1000 / low < 2.5
    assert high / 1000 < 2.5


@pytest.mark.parametrize(
    "curves", [ALL, tuple(curve(str(n), 0.5, 0.6) for n in range(7)), [curve(str(n), 0.5) for n in range(5)]]
)
def test_names_do_not_lie_over_each_other(curves: Sequence[ScalingCurve]) -> None:
    from matplotlib.text import Text

    canvas = scaling_figure(curves, title="MATH", questions=500)
    canvas.draw_without_rendering()
    found = {text.get_text(): Text.get_window_extent(text) for text in canvas.axes[0].texts}
    assert {each.name for each in curves} <= set(found)
    boxes = list(found.values())
    assert not [1 for place, box in enumerate(boxes) for other in boxes[:place] if box.overlaps(other)]


def test_many_curves_have_a_legend_from_the_best_to_the_worst() -> None:
    (axes,) = axes_of([curve(f"s{number}", 0.4, 0.5 + number / 100) for number in range(12)])
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [f"s{number}" for number in reversed(range(12))]
    assert axes_of(ALL)[0].get_legend() is None


def test_panels_show_their_own_lines_in_the_looks_of_the_whole() -> None:
    panels = {f"level {level}": [MAJORITY, curve("beam", 0.2, 0.1 * level)] for level in range(1, 6)}
    found = {axes.get_title(loc="left"): axes for axes in axes_of(ALL, panels=panels)}
    assert list(found)[:5] == list(panels) or list(found)[-5:] == list(panels)
    whole = next(axes for title, axes in found.items() if title.startswith("MATH"))
    colours = {line.get_label(): line.get_color() for line in whole.get_lines()}
    for name, shown in panels.items():
        got = {line.get_label(): line for line in found[name].get_lines()}
        assert lines(found[name])["beam"][:, 1] == pytest.approx([100 * p.accuracy for p in shown[1].points])
        assert got["beam"].get_color() == colours["beam"]
        assert holds(drawn(found[name]), (200, 16), (200, 24))
        assert found[name].get_xlim() == found["level 1"].get_xlim()


def test_the_same_numbers_give_the_same_files_whatever_the_user_has_set(tmp_path: Path) -> None:
    first = save_scaling(tmp_path / "a.b", ALL, title="costs $5 and $6", questions=1)
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "black"}):
        second = save_scaling(tmp_path / "again", ALL, title="costs $5 and $6", questions=1)
    assert [path.name for path in first] == ["a.b.png", "a.b.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[0].read_bytes().startswith(b"\x89PNG")
    svg = first[1].read_text()
    assert "costs $5 and $6, 1 question<" in svg
    assert ">majority</text>" in svg


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        scaling_figure([ScalingCurve("empty", ())], title="MATH", questions=5)
