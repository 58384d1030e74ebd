"""Estimates of where a curve would end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search import attributes, curves
from tao_automl.search.curves import Curve

EPOCHS = 20


def rising(final: float, speed: float = 5.0) -> list[float]:
    """Towards `final`; a small speed is a late one."""
    return [final * (1 - math.exp(-speed * (epoch + 1) / EPOCHS)) for epoch in range(EPOCHS)]


def trial(
    values: Sequence[float], number: int = 0, state: TrialState = TrialState.COMPLETE, **known: object
) -> FrozenTrial:
    made = optuna.trial.create_trial(
        state=state,
        value=max(values) if state == TrialState.COMPLETE else None,
        intermediate_values=dict(enumerate(values)),
        user_attrs=known,
    )
    made.number = number
    return made


def test_a_curve_is_the_best_so_far_and_fills_what_was_not_validated():
    made = trial([0.1, 0.3, 0.2])
    made.intermediate_values = {1: 0.2, 3: 0.1, 4: 0.5}
    assert Curve.of(made, maximize=True).values == (0.2, 0.2, 0.2, 0.2, 0.5)
    assert Curve.of(made, maximize=False).values == (-0.2, -0.2, -0.2, -0.1, -0.1)


@pytest.mark.parametrize("maximize", [True, False])
def test_curves_of_one_shape_tell_the_end_of_another_one(maximize):
    sign = 1 if maximize else -1
    done = [trial([sign * value for value in rising(final)], n) for n, final in enumerate((0.8, 0.7, 0.6, 0.5, 0.4))]
    stopped = trial([sign * value for value in rising(0.3)[:8]], 9, TrialState.PRUNED)
    estimate = curves.outcomes([*done, stopped], EPOCHS, maximize)[9]
    assert estimate.value == pytest.approx(sign * 0.3, abs=0.03)
    assert estimate.sd < 0.1


def test_an_estimate_is_less_sure_where_curves_have_crossed():
    same = [Curve(tuple(rising(final))) for final in (0.8, 0.7, 0.6, 0.5)]
    crossing = [Curve(tuple(rising(final, speed))) for final, speed in ((0.8, 1), (0.7, 9), (0.6, 2), (0.5, 8))]
    sure, unsure = (curves.at_end(known, Curve(tuple(rising(0.3)[:7]))) for known in (same, crossing))
    assert sure is not None
    assert unsure is not None
    assert unsure.sd > 2 * sure.sd


def test_a_curve_that_still_climbs_is_expected_higher_than_a_flat_one_of_the_same_value():
    known = [Curve(tuple(rising(final, speed))) for final, speed in ((0.8, 2), (0.7, 6), (0.6, 3), (0.5, 8), (0.7, 4))]
    flat, climbing = (Curve(tuple(rising(final, speed)[:8])) for final, speed in ((0.43, 8), (0.8, 1.91)))
    assert flat.end == pytest.approx(climbing.end, abs=0.02)
    ends = [curves.at_end(known, each) for each in (flat, climbing)]
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0].value == pytest.approx(0.43, abs=0.05)
    assert ends[1].value == pytest.approx(rising(0.8, 1.91)[-1], abs=0.1)


def test_an_estimate_is_less_sure_where_the_known_curves_do_not_foretell_one_another():
    usual = [Curve(tuple(rising(final))) for final in (0.8, 0.75, 0.7, 0.6, 0.55, 0.5)]
    one_off = [*usual, Curve((*rising(0.5)[:15], *[0.9] * 5))]
    sure, unsure = (curves.at_end(known, Curve(tuple(rising(0.3)[:8]))) for known in (usual, one_off))
    assert sure is not None
    assert unsure is not None
    assert unsure.sd > 3 * sure.sd


def test_nothing_is_estimated_without_a_full_training_nor_for_what_cannot_run():
    stopped = trial(rising(0.3)[:8], 1, TrialState.PRUNED)
    rung = trial(rising(0.3)[:3], 2, TrialState.COMPLETE, **{attributes.BUDGET: 3})
    assert curves.outcomes([stopped, rung], EPOCHS, maximize=True) == {}
    infeasible = trial(rising(0.3)[:8], 3, TrialState.PRUNED, **{attributes.INFEASIBLE: True})
    assert curves.outcomes([trial(rising(0.5)), infeasible], EPOCHS, maximize=True) == {}


def test_what_has_trained_longer_is_estimated_more_surely():
    done = [trial(rising(final), n) for n, final in enumerate((0.8, 0.75, 0.6, 0.5))]
    early, late = (trial(rising(0.4)[:n], 7, TrialState.PRUNED) for n in (3, 15))
    found: Callable[[FrozenTrial], float] = lambda item: curves.outcomes([*done, item], EPOCHS, maximize=True)[7].sd  # noqa: E731
    assert found(late) < found(early)
