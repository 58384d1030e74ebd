"""Batches: configs that run at the same time."""

from __future__ import annotations

import itertools
import math

import optuna

from tao_automl.search import algorithms
from tests.contracts.sampler_contract import contract_space


def nearest_pair(name: str) -> float:
    """After ten results, eight configs are asked at once: the smallest distance between two of their rates."""
    space = contract_space("lr", "momentum")
    study = optuna.create_study()
    study.enqueue_trial(space.centre())
    rates = []
    for number in range(18):
        study.sampler = algorithms.sampler(name, space, 3, number)
        trial = study.ask()
        values = space.suggest(trial)
        if number < 10:
            study.tell(trial, (math.log10(values["lr"]) + 3.4) ** 2)
        else:
            rates.append((math.log10(values["lr"]), math.log10(1 - values.get("momentum", 0.9))))
    return min(math.dist(a, b) for a, b in itertools.combinations(rates, 2))


def test_configs_of_a_batch_are_no_closer_than_those_of_the_plain_sampler():
    assert nearest_pair("bfbo") >= nearest_pair("bayesian")


def test_no_two_configs_of_a_batch_are_the_same():
    assert nearest_pair("bfbo") > 0
