"""What mattered in a search, by path of the spec."""

from __future__ import annotations

import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.search import importance
from tao_automl.search.attributes import BEST_VALUE


def searched(count: int, *, maximize: bool = True, seed: int = 0) -> list[optuna.trial.FrozenTrial]:
    """Trials whose value follows the learning rate above all, a little the momentum, which only SGD has."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(count):
        trial = study.ask()
        rate = trial.suggest_float("train.lr", 1e-5, 1e-3, log=True)
        size = trial.suggest_int("data.batch@log2", 0, 1 + trial.number % 3)
        momentum = trial.suggest_float("train.momentum@log10(1-x)", -3, -1) if trial.number % 2 else -2
        trial.suggest_categorical("model.fixed", ["one"])
        loss = (math.log10(rate) + 4) ** 2 + 0.05 * (momentum + 2) ** 2 + 0.001 * size
        trial.set_user_attr(BEST_VALUE, -loss if maximize else loss)
        study.tell(trial, loss)
    return study.trials


@pytest.mark.parametrize(("method", "maximize"), [("ped-anova", True), ("ped-anova", False), ("fanova", True)])
def test_what_matters_most_comes_first_under_its_path(method, maximize):
    found = importance.of(searched(40, maximize=maximize), maximize=maximize, method=method)
    assert next(iter(found.shares)) == "train.lr"
    assert sum(found.shares.values()) == pytest.approx(1)
    assert (found.trials, found.missing) == (40, 0)
    assert "model.fixed" not in found.shares


def test_a_parameter_that_only_some_trials_have_gets_its_share():
    assert set(importance.of(searched(40), maximize=True).shares) == {"train.lr", "data.batch", "train.momentum"}


def test_too_few_trials_give_no_answer_but_their_number():
    found = importance.of(searched(importance.ENOUGH - 3), maximize=True)
    assert found.as_dict() == {
        "method": "ped-anova",
        "trials": importance.ENOUGH - 3,
        "missing_trials": 3,
        "shares": {},
    }


def test_a_method_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match="no importance 'fanove'") as raised:
        importance.of([], maximize=True, method="fanove")
    assert "fanova" in raised.value.tip


@settings(max_examples=5, deadline=None)
@given(st.integers(importance.ENOUGH, 30), st.integers(0, 99), st.booleans())
def test_shares_are_shares_whatever_the_trials(count, seed, maximize):
    found = importance.of(searched(count, seed=seed, maximize=maximize), maximize=maximize)
    assert all(0 <= share <= 1 for share in found.shares.values())
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
