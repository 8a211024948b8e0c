"""What the adaptive labeler learns from a pilot, what its confidence is worth, and what it calls information."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import log2

import numpy as np
import pytest
from adaptive_cases import SHAPED, Simulated, by_enumeration, expected_calibration_error, observed, simulated

from openr_data.labelers.adaptive import Inference, Seen, ValueModel, fit
from openr_data.labelers.adaptive.fit import Pilot, first_errors, log_likelihood
from openr_data.labelers.adaptive.model import even
from openr_data.labelers.adaptive.probing import information

LATE = replace(SHAPED, position=(0.01, 0.02, 0.04, 0.06, 0.1, 0.17, 0.27, 0.33))


@cache
def pilot_of_late_errors() -> Simulated:
    return simulated(LATE, 200, 8, seed=1, most=8)


@cache
def fitted_to_late_errors() -> ValueModel:
    return fit(pilot_of_late_errors().seen)


def test_the_pilot_is_read_as_single_solutions_are() -> None:
    """Side by side, of different lengths, they have the posteriors that each has alone."""
    drawn = [simulated(SHAPED, 6, length, seed=length) for length in (1, 2, 5, 9)]
    seen = [each for one in drawn for each in one.seen]
    together, inference = first_errors(SHAPED, Pilot.of(seen)), Inference(SHAPED)
    for row, one in zip(together, seen, strict=True):
        assert row[-len(one.hits) :] == pytest.approx(inference.posterior(one).first, rel=1e-9, abs=1e-12)
        assert (row[: -len(one.hits)] == 0).all()


def test_differences_of_the_likelihood_are_those_of_the_sum_over_all_states() -> None:
    """It is known up to a constant of the data alone, so two models differ in it by what they really differ."""
    seen = [observed([3, 1, 0], [8, 2, 6], [2, 1, 0], [8, 2, 0]), observed([0, 1], [4, 2])]
    mine = [log_likelihood(model, Pilot.of(seen)) for model in (SHAPED, ValueModel())]
    truth = [sum(np.log(by_enumeration(model, each).likelihood) for each in seen) for model in (SHAPED, ValueModel())]
    assert mine[0] - mine[1] == pytest.approx(truth[0] - truth[1], rel=1e-9)


def test_it_finds_where_errors_are_and_what_repeats_tell() -> None:
    found, pilot = fitted_to_late_errors(), Pilot.of(pilot_of_late_errors().seen)
    assert log_likelihood(found, pilot) > log_likelihood(ValueModel(), pilot) + 20
    assert sum(found.position[4:]) > 0.6 > 0.5 > sum(found.position[:4])
    right, error, _ = (float(np.dot(row, np.linspace(0, 1, len(row)))) for row in found.repeats)
    assert right > 0.55 > 0.45 > error
    assert sum(found.position) == pytest.approx(1.0)
    assert [sum(row) for row in found.repeats] == pytest.approx([1.0, 1.0, 1.0])


def test_on_other_solutions_it_is_better_than_the_default_and_near_the_model_that_made_them() -> None:
    fresh = simulated(LATE, 1500, 8, seed=2)
    pilot = Pilot.of(fresh.seen)
    fitted, true, default = (accuracy(model, pilot, fresh) for model in (fitted_to_late_errors(), LATE, ValueModel()))
    assert default + 0.02 < fitted
    assert true - 0.07 < fitted < true + 0.01


@pytest.mark.parametrize(("count", "seed"), [(20, 1200), (50, 1504), (160, 2602)])
def test_no_small_pilot_makes_errors_of_right_steps(count: int, seed: int) -> None:
    """In these pilots errors that cost nothing are a little likelier than the truth, and accuracy fell to .26."""
    model = fit(simulated(LATE, count, 8, seed=seed, most=8).seen)
    fresh = simulated(LATE, 1000, 8, seed=2)
    pilot = Pilot.of(fresh.seen)
    assert accuracy(model, pilot, fresh) > accuracy(ValueModel(), pilot, fresh)
    first = first_errors(model, pilot)
    assert expected_calibration_error(first.max(1).tolist(), (first.argmax(1) + 1 == fresh.first).tolist()) <= 0.1


def accuracy(model: ValueModel, pilot: Pilot, drawn: Simulated) -> float:
    return float((first_errors(model, pilot).argmax(1) + 1 == drawn.first).mean())


def test_the_same_pilot_gives_the_same_model_in_any_order() -> None:
    seen = simulated(SHAPED, 40, 6, seed=3).seen
    once, again, turned = fit(seen), fit(list(seen)), fit(seen[::-1])
    assert once == again
    for name, value in once.to_json().items():
        assert np.array(value) == pytest.approx(np.array(turned.to_json()[name]), abs=1e-9), name


def wrong(hits: int, decided: int = 8, length: int = 6) -> Seen:
    tried = [decided] * (length - 1)
    return observed([hits] * length, [decided] * length, [*(min(hits, each) for each in tried), 0], [*tried, 0])


PILOTS = {
    "nothing": [],
    "one": [wrong(3)],
    "one that saw nothing": [observed([0] * 6, [0] * 6)],
    "one of one step": [observed([3], [8])],
    "never right": [wrong(0) for _ in range(12)],
    "always right": [wrong(8) for _ in range(12)],
    "thousands of rollouts": [wrong(0, 4000), wrong(4000, 4000), wrong(2000, 4000, 40)],
    "every length": [wrong(2, 4, length) for length in range(1, 12)],
}


@pytest.mark.parametrize("name", PILOTS)
def test_any_pilot_gives_a_model_to_work_with(name: str) -> None:
    """Warnings are errors here: no logarithm of nothing, no overflow, no model without numbers."""
    model = fit(PILOTS[name])
    for each in (wrong(0), wrong(8), wrong(3), observed([9, 0, 0, 0], [32, 8, 8, 8])):
        found = Inference(model).posterior(each)
        assert found.first.sum() == pytest.approx(1.0)
        assert np.isfinite(information(found)).all()
    assert ValueModel.from_json(model.to_json()) == model
    if name == "nothing":
        assert model == ValueModel()


def test_a_pilot_that_saw_nothing_teaches_nothing_about_values() -> None:
    """Where no rollout was decided, the posterior stays the prior."""
    model = fit([observed([0] * 6, [0] * 6)])
    assert Inference(model).posterior(observed([0] * 6, [0] * 6)).first == pytest.approx(model.prior(6))


@pytest.mark.parametrize("length", [5, 8, 16])
def test_under_its_own_model_the_confidence_is_what_it_says(length: int) -> None:
    drawn = simulated(SHAPED, 4000, length, seed=4)
    first = first_errors(SHAPED, Pilot.of(drawn.seen))
    right = (first.argmax(1) + 1 == drawn.first).tolist()
    assert expected_calibration_error(first.max(1).tolist(), right) <= 0.03
    good = 1 - first.cumsum(1)[:, :-1]  # of prefixes 1 .. M-1
    truth = drawn.first[:, None] > np.arange(1, length)
    assert expected_calibration_error(good.ravel().tolist(), truth.ravel().tolist()) <= 0.02


def test_looking_where_it_tells_most_and_stopping_when_sure_keeps_the_confidence_honest() -> None:
    """The design depends on the data, which a likelihood does not mind: rollouts drawn one by one, without an engine."""
    drawn, inference = simulated(SHAPED, 500, 6, seed=5, most=0), Inference(SHAPED)
    random = np.random.default_rng(6)
    sure, right = [], []
    for truth, levels in zip(drawn.first, drawn.levels, strict=True):
        found = searched(inference, levels, random)
        sure.append(found[1])
        right.append(found[0] == truth)
    assert 0.5 < np.mean(right) < 0.99
    assert expected_calibration_error(sure, right) <= 0.05


def searched(inference: Inference, levels: Sequence[int], random: np.random.Generator) -> tuple[int, float]:
    from openr_data.labelers.adaptive.model import LEVELS

    hits, decided, nothing = np.zeros(len(levels)), np.zeros(len(levels)), np.zeros(len(levels))
    followed = inference.follow(len(levels))
    for _ in range(16):
        found = followed.posterior(Seen(hits.copy(), decided.copy(), nothing, nothing))
        if found.confidence >= 0.8:
            break
        t = int(information(found).argmax())
        hits[t] += random.random() < LEVELS[levels[t]]
        decided[t] += 1
    found = followed.posterior(Seen(hits, decided, nothing, nothing))
    return found.best, found.confidence


@pytest.mark.parametrize(
    "seen",
    [
        observed([0, 0, 0], [0, 0, 0]),
        observed([5, 1, 0], [8, 3, 2]),
        observed([2, 0, 0], [8, 8, 0], [2, 0, 0], [8, 4, 0]),
    ],
)
def test_information_is_that_of_its_definition(seen: Seen) -> None:
    """I(prefix good; next rollout hits), from the joint distribution of the two by enumeration."""
    truth = by_enumeration(SHAPED, seen)
    found = information(Inference(SHAPED).posterior(seen))
    assert found[0] == 0.0
    for t in range(1, len(seen.hits)):
        good, bad = truth.good[t], 1 - truth.good[t]
        joint = {
            (1, 1): truth.hit_good[t],
            (1, 0): good - truth.hit_good[t],
            (0, 1): truth.hit_bad[t],
            (0, 0): bad - truth.hit_bad[t],
        }
        hit = truth.hit_good[t] + truth.hit_bad[t]
        alone = {(g, h): (good if g else bad) * (hit if h else 1 - hit) for g, h in joint}
        bits = sum(p * log2(p / alone[case]) for case, p in joint.items() if p > 0)
        assert found[t] == pytest.approx(bits, rel=1e-6, abs=1e-9)


def test_nothing_is_left_to_learn_of_what_is_certain() -> None:
    sure = replace(SHAPED, repeats=(even(1.0, 1.0),) * 3)
    found = information(Inference(sure).posterior(observed([0] * 5, [0] * 5), known_good=4))
    assert found == pytest.approx(np.zeros(5), abs=1e-6)
