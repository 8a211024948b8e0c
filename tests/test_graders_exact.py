"""Normalisation and the fast path: tables of equal and unequal answers, and the properties that every pair must have."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.graders.algebra import Quotient, Undecidable, constant, name, root
from openr_data.graders.exact import Decision, decide
from openr_data.graders.normalise import normalise
from openr_data.graders.policy import GradingPolicy

POLICY = GradingPolicy()


def grade(answer: str, gold: str, policy: GradingPolicy = POLICY) -> Decision:
    return decide(normalise(answer), normalise(gold), policy)


EQUAL = [
    (r"0.5", r"\frac{1}{2}"), (r"\dfrac12", r"\frac{1}{2}"), (r"\tfrac{3}{6}", "1/2"), (".5", "0.5"), ("7.0", "7"),
    ("42.", "42"), ("10,080", r"10,\!080"), ("10080", r"10{,}080"), (r"11,\! 111,\! 100", "11111100"), ("1,234.5", "1234.50"),
    ("$1,000", "1000"), (r"\$32,\!348", "32348"), (r"90^\circ", "90"), ("90°", r"90^{\circ}"), (r"90\text{ degrees}", "90"),
    (r"5\text{ cm}^2", "5"), ("42 dollars", "42"), ("3 m", r"3\text{ metres}"), (r"864 \mbox{ inches}^2", "864"),
    (r"50\%", "50"), (r"50\%", "0.5"), ("25 percent", r"25\%"), (r"\text{Evelyn}", "evelyn"), (r"\text{(C)}", "C"),
    ("(C)", r"\text{C}"), (r"\mbox{four}", "4"), (r"0.1\overline{6}", "1/6"),
    (r"\langle 1,2\rangle", "(1,2)"), ("(x,y)=(1,2)", "(1,2)"),
    ("Yes", r"\text{yes}"), ("two", "2"), ("no solution", r"\text{No solutions}"), ("f^{-1}(x)=x+1", "x+1"), (r"\vec{v}", "v"),
    (r"\textbf{(C)}\ 15", r"\text{(C)}"), (r"\text{a}", "a"), (r"\text{9}", "9"), ("x=5", "5"), ("5", "x = 5"),
    (r"x \in [-2,7]", "[-2,7]"), ("f(x)=2x", "2x"), ("y = 2x + 3", "2x+3"), ("52", "52_8"), (r"52_{8}", "52_8"),
    ("1,-2", "-2, 1"), (r"1 \text{ and } -2", "1,-2"), (r"\{1,2\}", "2,1"), ("(1,2)", r"\left( 1, 2 \right)"), ("1,2", "(1,2)"),
    (r"\{5\}", "5"), (r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}"),
    (r"\frac{1\pm\sqrt5}{2}", r"\frac{1-\sqrt{5}}{2},\frac{1+\sqrt{5}}{2}"), (r"(2,\infty)", r"\left(2, +\infty\right)"),
    (r"(0,9)\cup(9,36)", r"(9,36)\cup(0,9)"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"),
    (r"\begin{pmatrix} -1/3 \\ 2 \end{pmatrix}", r"\begin{pmatrix} -\frac{1}{3} \\ 2 \end{pmatrix}"), (r"1\frac{4}{5}", "9/5"),
    ("137 1/2", "137.5"), (r"\sqrt{8}", r"2\sqrt2"), (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}"), ("√2", r"\sqrt{2}"),
    (r"\frac{3+2\sqrt{3}}{3}", r"1+\frac{2}{\sqrt3}"), (r"\frac{1}{1+\sqrt2}", r"\sqrt2-1"), ("i^2", "-1"), ("(1+i)^2", "2i"),
    (r"6 - 5i", "-5i+6"), ("(a+5)(b+2)", "ab+2a+5b+10"), ("(x+1)^2", "x^2+2x+1"), (r"\frac{x^2-1}{x+1}", "x-1"),
    ("2^{-3}", r"\frac18"), ("x²", "x^2"), ("4·3", "12"), (r"12\pi", "π·12"), ("5x - 7y + 11z + 4 = 0", "-5x+7y-11z=4"),
    ("3:5", "3 : 5"), ("4!", "24"), ("1.5e3", "1500"), ("3R^2", "3r^2"), ("ab", "ba"), ("0.333333", r"\frac{1}{3}"),
    (r"\sqrt2 x = 1", r"2x = \sqrt2"), ("2x+y=3", "4x+2y=6"), ("3.141593", r"\pi"), ("0.666666", "2/3"), (r"\cot x", r"\cot x"),
    (r"\tan 15^\circ", r"\tan 15°"), ("４２", "42"), ("𝟒𝟐", "42"), ("4\u200b2", "42"), ("42。", "42"), ("\ufeff42", "42"),
    ("1\u00a0234", "1234"), ("½", "0.5"), ("−5", "-5"), ("x ≤ 3", r"x \le 3"), ("café", "cafe\u0301"),
    (r"\boldsymbol", r"\boldsymbol"), ("**7**", "7"), ("2**3", "8"), (r"\15", "15"),
    ("12 red apples", "12"), ("5 miles per hour", "5"), ("1/2 of the cake", "1/2"), ("20% of the total", "20"),
    ("5 million", "5000000"), (r"2.5 \text{ million people}", "2500000"), ("2 thousand dollars", "2,000"),
    (r"5^{\text{th}}", "5"), ("5^{th}", "5"), (r"12 \frac{\text{m}}{\text{s}}", "12"), ("(A) 7", "7"),
    (r"\textbf{(B) }\frac{1}{2}", "0.5"),
    (r"\text{(C) 15}", "15"), (r"\text{(C) 15}", r"\text{(C)}"), (r"\text{D) } 12", r"\text{(D)}"),
    (r"\angle ABC = 45^\circ", "45"),
    (r"m\angle A = 45", "45"), (r"\text{Area} = 12", "12"), ("(1,2,3)", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"),
    ("10:30 am", r"10\!:\!30 \text{ a.m.}"),
]  # fmt: skip

DIFFERENT = [
    ("42", "41"), ("32, 349", "32349"), ("4.5", "4"), ("1600", "16"), ("13536", "13535"), ("-5", "5"), ("420", "42"),
    ("42.5", "42"), ("0.33", "1/3"), (".0000672", ".000067"), ("3.14", r"\pi"), ("12.00001", "12"),
    ("0.333334", r"\frac{1}{3}"), (r"\frac12", r"\frac13"), ("n+i", "n"), ("5+i", "5"), ("x=5", "y=5"), ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"), ("(1,2]", "(1,2)"), ("1,2", "1,3"), ("1,2", "1,2,3"), ("5", "5,6"), (r"\{1,2\}", r"\{1,3\}"),
    (r"\text{east}", "west"), (r"\text{east}", "5"), ("(4)(2)", "42"), ("11\\sqrt2", "15"), ("8\\pi", "25"),
    (r"\sqrt2", r"\sqrt3"), ("B", r"\text{(C)}"), ("(B) 15", r"\text{(C)}"),
    ("52_8", "52_9"), ("53_8", "52_8"), ("50_8", "52"), ("x+1", "x+2"),
    (r"\frac{x}{y}", r"\frac{y}{x}"), (r"1 \pm \sqrt{19}", r"1 \pm \sqrt{17}"), ("2x+y=3", "2x+y=4"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}"), (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
    ("1,234", "1,235"), (r"50\%", "51"), (r"50\%", r"0.5\%"), ("2pi", "2"), ("0.1", "10"), ("\\infty", "5"),
    ("3x+4y+14=0", "3x-y+13=0"), ("1e2", "1"),
    (r"10:30 \text{ p.m.}", r"10\!:\!30 \text{ a.m.}"), ("3 pm", "3 am"), ("(A) 5", "7"), ("5 million", "5"),
    ("20% of the total", "30"),
    (r"\angle ABC = 45^\circ", "46"), ("(1,2,4)", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"), ("12 red apples", "13"),
]  # fmt: skip

UNDECIDED = [
    ("10 20", "1020"), ("10\n20", "30"), ("4\x002", "42"), ("5 + (", "5"), (r"5+\operatorname{foo}(3)", "5"),
    (r"\sin 2x", r"2\sin x \cos x"), ("2^n", "n"), (r"\sqrt[3]{8}", "2"), ("x^x^x", "x"), ("1/2x", "x/2"), ("41=42", "42"),
    ("", ""), ("", "5"), ("9" * 3000, "9" * 3000), ("(" * 500, "1"), (r"\sqrt12", r"2\sqrt3"), ("open('x','w')", "1"),
    (r"\frac{1}{0}", "1"), ("0.56 = 56\\%", "0.56"), (r"(0,2)\cup(2,3)", "(0,3)"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "gold"), EQUAL)
def test_equal(answer: str, gold: str) -> None:
    assert grade(answer, gold) in ("exact", "equal")
    assert grade(gold, answer) in ("exact", "equal")


@pytest.mark.parametrize(("answer", "gold"), DIFFERENT)
def test_different(answer: str, gold: str) -> None:
    assert grade(answer, gold) == grade(gold, answer) == "different"


@pytest.mark.parametrize(("answer", "gold"), UNDECIDED)
def test_undecided(answer: str, gold: str) -> None:
    assert grade(answer, gold) == grade(gold, answer) == "undecided"


def test_words_that_may_say_the_same_are_ambiguous() -> None:
    assert grade(r"\text{odd function}", r"\text{odd}") == "ambiguous"
    assert grade(r"\text{no solution}", r"\emptyset") == "ambiguous"
    assert grade(r"x<-1 \text{ or } x>1", r"(-\infty,-1)\cup(1,\infty)") == "ambiguous"
    assert grade(r"\text{(C)}, 7", r"\text{(C)}") not in ("exact", "equal")


def test_the_percent_policy() -> None:
    verdicts = {p: [grade(r"50\%", g, GradingPolicy(percent=p)) for g in ("50", "0.5")] for p in ("either", "same", "hundredth")}
    assert verdicts == {"either": ["equal", "equal"], "same": ["equal", "different"], "hundredth": ["different", "equal"]}


def test_the_base_policy() -> None:
    assert grade("52", "52_8", GradingPolicy(bases="required")) == "different"


def test_the_decimal_policy() -> None:
    assert grade("0.667", "2/3", GradingPolicy(decimal_digits=3)) == "equal"
    assert grade("0.67", "2/3", GradingPolicy(decimal_digits=3)) == "different"


PIECE_TEXT = "1 2 x ( ) { } \\frac \\sqrt ^ + - , \\text{a} % = \\pi _ . \\left $ ° ½ and \\\\ ! i : / | \\pm \\cup [ ] \\sin <"
PIECES = [*PIECE_TEXT.split(" "), " "]
answers = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=20)


@settings(max_examples=400, deadline=None)
@given(answers)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@settings(max_examples=300, deadline=None)
@given(answers)
def test_equality_is_reflexive(text: str) -> None:
    assert grade(text, text) == ("exact" if normalise(text) else "undecided")


@settings(max_examples=400, deadline=None)
@given(answers, answers)
def test_equality_is_symmetric(a: str, b: str) -> None:
    assert grade(a, b) == grade(b, a)


rationals = st.fractions(min_value=-50, max_value=50, max_denominator=60)


@settings(max_examples=200, deadline=None)
@given(rationals, rationals)
def test_rationals_are_decided_by_their_value(a: Fraction, b: Fraction) -> None:
    written = f"{'-' if a < 0 else ''}\\frac{{{abs(a.numerator)}}}{{{a.denominator}}}"
    assert grade(written, str(b)) in (("exact", "equal") if a == b else ("different",))


def _surd(parts: list[tuple[int, int]]) -> Quotient:
    total = constant(0)
    for factor, radicand in parts:
        total = total + constant(factor) * root(constant(radicand))
    return total


surds = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 60)), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(surds, surds)
def test_surds_obey_the_laws_of_a_field(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    x, y = _surd(a), _surd(b)
    assert ((x + y) * (x - y)).equals(x * x - y * y)
    if x.equals(y):
        assert abs((x.approximate() or 0) - (y.approximate() or 0)) < 1e-9
    if y.numerator:
        assert (x / y * y).equals(x)


def test_algebra_gives_up_rather_than_growing() -> None:
    x, y = name("x"), name("y")
    with pytest.raises(Undecidable):
        (x + y + constant(1)).power(9999)
    with pytest.raises(Undecidable):
        constant(7).power(9999)
    with pytest.raises(Undecidable):
        _ = constant(1) / constant(0)


def test_variables_keep_their_case_where_both_cases_occur() -> None:
    assert grade("X+x", "2x") == "different"
    assert grade("X+1", "x+1") == "equal"
