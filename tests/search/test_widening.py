"""Ranges that are widened once where the best trials lie at their end."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search import attributes, study, widening
from tests.search.bank_rows import models

LR = "train.optim.lr"
SPACES = [space for space in (model.space() for model in models()) if any(any(item.reach) for item in space.parameters)]


def told(number: int, params: dict[str, Any], value: float | None) -> FrozenTrial:
    state = TrialState.COMPLETE if value is not None else TrialState.FAIL
    trial = optuna.trial.create_trial(state=state, value=value)
    trial.number, trial.params = number, params
    return trial


def rising(space, rates: list[float]) -> list[FrozenTrial]:
    """Trials whose value grows with the learning rate."""
    return [told(number, {**space.centre(), LR: rate}, rate) for number, rate in enumerate(rates)]


PILED = [2e-4, 1e-4, 5e-5, 8e-4, 9e-4, 1e-3]


def test_the_end_at_which_the_better_half_lies_is_moved(space, by_path) -> None:
    found = widening.decide(space, rising(space, PILED), True, [])
    to = pytest.approx(1e-3 * math.sqrt(5))
    assert found == [{"path": LR, "side": "high", "to": to, "trials": 6}]
    wide = by_path(widening.widened(space, found))[LR]
    assert (wide.low, wide.high, wide.default) == (1e-5, to, 2e-4)
    assert "its high end was 0.001 for the first 6 trials" in wide.why


@pytest.mark.parametrize(
    ("rates", "maximize"),
    [
        (PILED[1:], True),  # too few
        (PILED, False),  # the better half lies at the centre
        ([2e-4, 1e-4, 5e-5, 3e-4, 9e-4, 1e-3], True),  # too few of the better half
        ([2e-4, 1e-4, 5e-5, 1e-3, 1e-3, 1e-3], True),  # one config three times
    ],
)
def test_otherwise_nothing_is_moved(space, rates, maximize) -> None:
    assert widening.decide(space, rising(space, rates), maximize, []) == []


def test_failed_trials_say_nothing_and_an_end_is_moved_once(space) -> None:
    piled = rising(space, PILED)
    assert not widening.decide(space, [*piled[1:], told(6, piled[5].params, None)], True, [])
    known = widening.decide(space, piled, True, [])
    again = widening.widened(space, known)
    assert widening.decide(again, rising(space, [2e-3] * 9), True, known) == []


def test_a_range_of_the_users_is_never_widened(detr) -> None:
    space = detr.space(f"{LR}=1e-5..1e-3:log")
    assert widening.decide(space, rising(space, PILED), True, []) == []


def test_what_was_decided_stays_with_the_study_and_a_resumed_one_accepts_it(space, metric, made) -> None:
    storage = InMemoryStorage()
    created = made(storage, metric, space, **{attributes.ALGORITHM: "random"})
    for rate in PILED[1:]:
        created.enqueue_trial({**space.centre(), LR: rate})
    for number in range(6):
        _, values = study.ask(created, space)
        study.tell(created, number, TrialState.COMPLETE, values[LR])
        assert bool(study.widen(created, space)) is (number == 5)
    again = study.load(storage, "first")
    study.require_same(again, metric, space)
    assert study.widen(again, space) == []
    wide = study.current(again, space)
    rates = [study.ask(again, space)[1][LR] for _ in range(40)]
    assert max(rates) > 1e-3
    assert study.resume_ask(again, 10, space)[LR] == rates[4]
    assert wide.decode(study.trials(again)[0].params) == space.decode(study.trials(again)[0].params)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SPACES), st.data())
def test_a_range_only_grows_and_codes_mean_the_same_before_and_after(space, data) -> None:
    ends = [
        (item.path, side)
        for item in space.parameters
        for side, end in zip(("low", "high"), item.reach, strict=True)
        if end
    ]
    chosen = data.draw(st.sets(st.sampled_from(ends)))
    reach = {item.path: dict(zip(("low", "high"), item.reach, strict=True)) for item in space.parameters}
    entries = [{"path": path, "side": side, "to": reach[path][side], "trials": 6} for path, side in chosen]
    wide = widening.widened(space, entries)
    for before, after in zip(space.parameters, wide.parameters, strict=True):
        if before.reach != (None, None):
            assert after.low <= before.low < before.high <= after.high
            assert (after.low < before.low, after.high > before.high) == tuple(
                (before.path, side) in chosen for side in ("low", "high")
            )
    seed = data.draw(st.integers(0, 1000))
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    assert wide.decode(space.centre()) == space.decode(space.centre())
    values = space.suggest(trial)
    assert wide.decode(trial.params) == values
