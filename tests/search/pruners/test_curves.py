"""The pruner that stops what is plainly worse, and nothing that is late, crossing, noisy or before its drop."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import TrialState

from tao_automl.search import algorithms

EPOCHS = 20


def stopped(finals: list[list[float]]) -> list[int | None]:
    """For each curve in a row the epoch after which it was stopped, None = it ran to its end."""
    study = optuna.create_study(direction="maximize")
    pruner = algorithms.pruner("curves", EPOCHS, "maximize")
    found: list[int | None] = []
    for values in finals:
        trial, end = study.ask(), None
        for epoch, value in enumerate(values):
            trial.report(value, epoch)
            if pruner.prune(study, study.get_trials()[trial.number]):
                end = epoch
                break
        study.tell(trial, None if end is not None else max(values), TrialState.PRUNED if end is not None else None)
        found.append(end)
    return found


def shape(function: Callable[[float], float]) -> list[float]:
    return [function((epoch + 1) / EPOCHS) for epoch in range(EPOCHS)]


def rising(final: float, speed: float = 5.0) -> list[float]:
    return shape(lambda t: final * (1 - math.exp(-speed * t)) / (1 - math.exp(-speed)))


def sigmoid(final: float, middle: float) -> list[float]:
    return shape(lambda t: final / (1 + math.exp(-15 * (t - middle))))


def noisy(values: list[float], seed: int, sd: float = 0.03) -> list[float]:
    rng = random.Random(seed)
    return [value + rng.gauss(0, sd) for value in values]


SEEN = [rising(0.6), rising(0.55), rising(0.5), rising(0.58)]


def test_what_is_plainly_worse_ends_in_the_first_half():
    for bad in (rising(0.2), rising(0.05), shape(lambda _t: 0.01)):
        end = stopped([*SEEN, bad])[-1]
        assert end is not None
        assert end < EPOCHS / 2


def test_a_late_bloomer_that_climbs_when_the_others_have_stopped_lives():
    assert stopped([*SEEN, rising(0.75, speed=1.0)])[-1] is None
    assert stopped([*SEEN, shape(lambda t: 0.7 * t)])[-1] is None


def test_nearly_all_late_bloomers_live_where_noise_hides_their_slope_now_and_then():
    ends = []
    for seed in range(12):
        seen = [noisy(values, 10 * seed + n, 0.005) for n, values in enumerate(SEEN)]
        ends.append(stopped([*seen, noisy(rising(0.75, speed=0.8), 10 * seed + 9, 0.005)])[-1])
    assert ends.count(None) >= 10


@pytest.mark.parametrize("seed", range(4))
def test_what_is_plainly_worse_ends_in_the_first_fifth_though_there_is_noise(seed):
    seen = [noisy(values, 10 * seed + n, 0.005) for n, values in enumerate(SEEN)]
    end = stopped([*seen, noisy(rising(0.3), 10 * seed + 9, 0.005)])[-1]
    assert end is not None
    assert end <= EPOCHS / 5


def test_late_bloomers_live_where_some_have_been_seen():
    seen = [sigmoid(0.6, 0.2), sigmoid(0.65, 0.6), sigmoid(0.5, 0.3), sigmoid(0.55, 0.5)]
    assert stopped([*seen, sigmoid(0.7, 0.6)])[-1] is None


def test_crossing_curves_are_not_taken_for_worse():
    seen = [rising(0.5, 10), rising(0.6, 3), rising(0.7, 1.5), rising(0.55, 6)]
    assert stopped([*seen, rising(0.8, 1.5)])[-1] is None


@pytest.mark.parametrize("seed", range(4))
def test_noise_does_not_stop_what_is_as_good(seed):
    curves = [noisy(values, 10 * seed + n) for n, values in enumerate([*SEEN, rising(0.62)])]
    assert stopped(curves)[-1] is None


def test_before_the_rates_drop_a_bad_value_says_little():
    """High rates lie low until the milestone, and gain most from it."""

    def drop(final: float, rate: float) -> list[float]:
        return shape(lambda t: final * (1 - math.exp(-6 * t)) * (1 - 0.5 * rate if t <= 0.75 else 1))

    seen = [drop(0.5, 0.2), drop(0.6, 0.8), drop(0.55, 0.4), drop(0.58, 0.7)]
    assert stopped([*seen, drop(0.65, 1.0)])[-1] is None
    assert stopped([*seen, drop(0.1, 0.1)])[-1] is not None


def test_a_trial_that_ends_at_its_rung_is_not_stopped_there():
    study = optuna.create_study(direction="maximize")
    pruner = algorithms.pruner("curves", EPOCHS, "maximize")
    for values in SEEN:
        trial = study.ask()
        for epoch, value in enumerate(values):
            trial.report(value, epoch)
        study.tell(trial, max(values))
    study.enqueue_trial({}, user_attrs={"budget": 4, "kind": "config"})
    short = study.ask()
    for epoch in range(4):
        short.report(0.001, epoch)
    assert not pruner.prune(study, study.get_trials()[-1])
