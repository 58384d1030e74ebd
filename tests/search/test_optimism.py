"""What the best config is worth when it is trained again."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from tao_automl.search import optimism
from tao_automl.search.attributes import BEST_VALUE, KIND, PARENT
from tao_automl.search.confirm import CONFIRM


def trial(number: int, value: float, curve: list[float] | None = None, parent: int | None = None) -> FrozenTrial:
    made = create_trial(
        state=TrialState.COMPLETE,
        value=value,
        intermediate_values=dict(enumerate(curve or [])),
        user_attrs={BEST_VALUE: value, **({} if parent is None else {KIND: CONFIRM, PARENT: parent})},
    )
    made.number = number
    return made


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_the_estimate_is_nearer_to_the_truth_than_the_best_value(spread):
    """Configs whose true values differ by nothing, by the noise, and by three times the noise."""
    draw, misses = random.Random(1), []
    for _ in range(60):
        true = [draw.gauss(0, spread) for _ in range(20)]
        seen = [value + draw.gauss(0, 1) for value in true]
        best = max(range(20), key=seen.__getitem__)
        mean, error = optimism.posterior(seen, 1.0)
        assert error >= 0
        misses.append((seen[best] - true[best], mean - true[best]))
    plain, honest = (statistics.fmean(column) for column in zip(*misses, strict=True))
    assert plain > 0.3
    assert abs(honest) < 0.6 * plain


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(1e-6, 10))
def test_the_estimate_lies_among_the_values(values, sd):
    mean, _ = optimism.posterior(values, sd)
    assert min(values) - 1e-9 <= mean <= max(values) + 1e-9


def test_repeats_tell_the_noise_and_the_first_training_of_each_does_not():
    trials = [trial(0, 0.9), trial(1, 0.5), trial(2, 0.52, parent=0), trial(3, 0.48, parent=0)]
    sd, source = optimism.noise(trials)
    assert (sd, source) == (pytest.approx(0.02 * 2**0.5), "repeats")


def test_without_repeats_neighbouring_epochs_do_whatever_the_slope():
    straight = [trial(0, 1.0, [0.1 * epoch for epoch in range(10)])]
    found = optimism.noise(straight)
    assert found is None or found[0] < 1e-9
    sawtooth = [trial(0, 1.0, [0.1 * epoch + 0.01 * (-1) ** epoch for epoch in range(10)])]
    sd, source = optimism.noise(sawtooth)
    assert (sd, source) == (pytest.approx(0.04 / 6**0.5), "neighbouring epochs")


def test_the_best_of_a_minimized_metric_is_too_low():
    curve = [1.0, 1.1, 0.9, 1.1, 0.9, 1.1]
    losses = [1.0, 0.95, 1.05, 0.9, 1.1, 1.02]
    found = optimism.estimate([trial(number, loss, curve) for number, loss in enumerate(losses)], maximize=False)
    assert found is not None
    assert found.value > 0.9
    assert found.optimism == pytest.approx(found.value - 0.9)


def test_nothing_is_said_where_nothing_is_known():
    assert optimism.estimate([trial(number, 0.5) for number in range(9)], maximize=True) is None
    assert optimism.estimate([trial(0, 0.5, [0.1, 0.3, 0.2, 0.4, 0.3, 0.5])], maximize=True) is None
