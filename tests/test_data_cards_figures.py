"""Figures and numbers of a card, worked by hand: what the captions say is what was counted, and the bytes do not change."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from io import BytesIO

import pytest

from openr_data.data_cards.figures import Figure, figures, show_figures
from openr_data.data_cards.numbers import checks, contamination, costs, key_numbers, quality
from openr_data.data_cards.statistics import (
    CostPerStep,
    Duplicates,
    Histogram,
    MethodAgreement,
    OracleQuality,
    Overlap,
    Spread,
    Statistics,
    StepBalance,
)

TENTHS = tuple(place / 10 for place in range(11))
COUNTED = Statistics(
    problems=10,
    skipped={"too_easy": 2, "too_hard": 1},
    solutions=8,
    steps=40,
    rollouts=100,
    verdicts={"right": 3, "wrong": 5},
    balance=StepBalance(right=27, wrong=9, unlabelled=4),
    first_errors={0: 1, 2: 2, 4: 1},
    without_error=3,
    undecided=1,
    undecided_reasons={"no_rollouts": 1},
    first_error_place=Histogram(TENTHS, (0, 1, 0, 0, 0, 2, 0, 0, 0, 1)),
    values={"stopped": Histogram(TENTHS, (3, 0, 0, 0, 0, 0, 0, 0, 2, 5))},
    value_by_place=(0.75, None, 0.5),
    steps_per_solution=Spread(8, 5.0, 4, 5, 6, 6, 6),
    step_counts=Histogram((4, 5, 6, 7), (2, 4, 2)),
    tokens_per_solution=Spread(8, 1234.56, 10, 1000, 2000, 3000, 4000),
    pass_rates=Histogram(TENTHS, (1, 0, 0, 0, 0, 0, 0, 0, 0, 4)),
    duplicates=Duplicates(problems=1, solutions=2),
    cost=CostPerStep(rollouts=72, tokens=3600, hours=0.5, labelled_steps=36),
    oracle=OracleQuality(5, 4, 0.5, 0.25, 0.25, 0.8, None),
)


def captions(counted: Statistics) -> dict[str, str]:
    return {figure.name: figure.caption for figure in figures(counted)}


def test_captions_say_what_is_to_be_seen() -> None:
    said = captions(COUNTED)
    assert said["label-balance"] == (
        "Answers: 37.5 % right, 62.5 % wrong; solutions: 37.5 % no error, 50.0 % first error found, 12.5 % undecided; "
        "steps: 67.5 % right, 22.5 % wrong, 10.0 % no label."
    )
    # Errors at steps 1, 3, 3, 5: half of the four are counted at step 3; one of four ends before the middle of its solution.
    assert said["first-errors"] == (
        "Half of the 4 first errors stand at step 3 or before it, and 25.0 % of them end before the middle of the solution."
    )
    assert said["step-values"] == "30.0 % of the 10 values read as stopped are below 0.1 and 50.0 % are 0.9 or more."
    assert said["value-by-place"] == "The mean value goes from 0.75 in the first steps to 0.50 in the last."
    assert said["steps-per-solution"] == "A solution has 5.0 steps on average; nine in ten have at most 6, the longest 6."
    assert said["pass-rates"] == (
        "Less than 10 % of the answers are right on 20.0 % of the 5 problems, and 90 % or more on 80.0 %."
    )


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", png[place + 8 + length : place + 12 + length])[0]
        found.append((kind, body))
        place += 12 + length
    return found


def test_a_figure_is_a_png_of_the_same_bytes_without_date_or_version() -> None:
    made = figures(COUNTED)
    assert [figure.png for figure in figures(COUNTED)] == [figure.png for figure in made]
    for figure in made:
        kinds = {kind for kind, _ in chunks(figure.png)}
        assert kinds <= {b"IHDR", b"pHYs", b"IDAT", b"IEND"}
        assert figure.path == f"figures/{figure.name}.png"
        assert figure.alt
    assert {figure.name for figure in figures(replace(COUNTED, pass_rates=None))} == {figure.name for figure in made} - {
        "pass-rates"
    }


def test_a_setting_of_the_user_changes_no_figure() -> None:
    import matplotlib

    made = [figure.png for figure in figures(COUNTED)]
    with matplotlib.rc_context({"figure.dpi": 31, "font.size": 30, "axes.facecolor": "black", "savefig.bbox": "tight"}):
        assert [figure.png for figure in figures(COUNTED)] == made


def test_the_figure_has_a_light_background_and_bars_where_something_is_counted() -> None:
    from matplotlib.image import imread

    for figure in figures(COUNTED):
        pixels = imread(BytesIO(figure.png))
        assert pixels.shape[1] == 1120
        assert (pixels[0, 0, :3] == 1).all()
        colours = {tuple((255 * colour).round().astype(int)) for colour in pixels[:, :, :3].reshape(-1, 3)[::7]}
        assert colours & {(0, 114, 178), (213, 94, 0)}, figure.name


@pytest.mark.parametrize("counted", [Statistics(), Statistics(problems=3), Statistics(verdicts={"right": 0})])
def test_nothing_counted_is_nothing_drawn(counted: Statistics) -> None:
    assert figures(counted) == []
    assert show_figures([]) == ""
    assert (quality(counted), costs(counted)) == ("", "")
    assert "| Problems |" in key_numbers(counted)


def test_a_run_without_labels_shows_its_answers() -> None:
    plain = Statistics(solutions=4, steps=9, verdicts={"right": 3, "unknown": 1}, balance=StepBalance(unlabelled=9))
    assert captions(plain) == {"label-balance": "Answers: 75.0 % right, 25.0 % unknown."}
    assert "hard label" not in key_numbers(plain)


def test_names_from_the_data_cannot_break_a_figure() -> None:
    name = "$\\frac{x}{$ \u2028 _ a very long name of an estimator indeed"
    said = captions(Statistics(values={name: Histogram((0.0, 1.0), (3,)), "b": Histogram((-1.0, 0.0, 1.0), (0, 0))}))
    assert list(said) == ["step-values"]


def test_late_first_errors_share_a_bar() -> None:
    assert (
        "Half of the 3 first errors stand at step 41 or before it"
        in captions(Statistics(first_errors={3: 1, 40: 1, 900: 1}))["first-errors"]
    )


def test_a_figure_is_shown_with_its_text_escaped() -> None:
    shown = show_figures([Figure("x", "A*", "alt]", "Seen <b>.", b"")])
    assert shown == "## Figures\n\n![alt\\]](figures/x.png)\n\n**A\\*.** Seen \\<b\\>.\n"


def test_key_numbers_by_hand() -> None:
    text = key_numbers(COUNTED)
    for line in (
        "| Problems | 10, of them 3 not searched (2 too\\_easy, 1 too\\_hard) |",
        "| Steps with a hard label | 36 (90.0 %) |",
        "| Of these right, wrong | 75.0 %, 25.0 % |",
        "| Solutions with a first error | 4 (50.0 %) |",
        "| Solutions not decided | 1 (12.5 %): 1 no\\_rollouts |",
        "| Steps per solution | mean 5.0, median 5, 90 % up to 6, from 4 to 6 |",
        "| Tokens per solution | mean 1,234.6, median 1,000, 90 % up to 2,000, from 10 to 4,000 |",
    ):
        assert f"{line}\n" in text


def test_costs_by_hand() -> None:
    text = costs(COUNTED)
    assert "| Completions drawn | 72 | 2 |\n" in text
    assert "| Generated tokens | 3,600 | 100 |\n" in text
    assert "| Time of all attempts and parts | 30 min | 50 s |\n" in text


def test_quality_says_when_there_is_nothing_to_compare() -> None:
    text = quality(COUNTED)
    assert "| Given solutions with a wrong answer | 5 |\n" in text
    assert "| First error decided | 4 (80.0 %) |\n" in text
    assert "| First error exactly right | 50.0 % |\n" in text
    assert "| Recall of the steps called wrong | nothing to compare |\n" in text


def test_checks_name_what_was_found_and_what_was_not_looked_for() -> None:
    assert "1 of 10 problems repeat an earlier question, and 2 of 8 solutions" in checks(COUNTED)
    assert "Agreement" not in checks(COUNTED)
    assert "No benchmark was looked for" in contamination(COUNTED)
    shared = Overlap("math|500", 500, 1, 3, 8, 0.5, (("p1", "q<2>", 1.0),))
    agreed = MethodAgreement("a", "b", 10, 8, 6, 7, 50, 45, None)
    text = checks(replace(COUNTED, agreements=(agreed,))) + contamination(replace(COUNTED, overlaps=(shared,)))
    assert "| math\\|500 | 500 | 1 | 3 | p1 and q\\<2\\> (100 %) |\n" in text
    assert "at least 50 % of a benchmark question's 8-grams" in text
    assert "| a, b | 10 | 8 | 75.0 % | 87.5 % | 90.0 % | not defined |\n" in text
