"""NSGA-II."""

from __future__ import annotations

import math

import optuna
import pytest

from tao_automl.search import algorithms
from tests.contracts.sampler_contract import SamplerContract, contract_space


def broken(name: str, seed: int) -> list[bool]:
    """Which of 40 trials break the constraint: rates above 1e-3, where one of two objectives is best."""
    space, found = contract_space("lr", "batch_size"), []
    study = optuna.create_study(directions=["minimize", "minimize"])
    for number in range(40):
        study.sampler = algorithms.sampler(name, space, seed, number)
        trial = study.ask()
        rate = math.log10(space.suggest(trial)["lr"])
        trial.set_constraint("lr<=0.001", rate + 3)
        found.append(rate > -3)
        study.tell(trial, [(rate + 3.5) ** 2, (rate + 2.5) ** 2])
    return found


class TestNsga2(SamplerContract):
    @pytest.fixture
    def name(self) -> str:
        return "nsga2"

    def test_it_beats_random_draws(self, name: str) -> None:
        """It is made for several objectives and constraints: it breaks them less often, the longer it searches."""
        late = {sampler: sum(sum(broken(sampler, seed)[20:]) for seed in range(4)) for sampler in (name, "random")}
        assert late[name] < late["random"]


def test_tpe_learns_constraints_of_several_objectives() -> None:
    runs = [broken("tpe", seed) for seed in range(2)]
    assert sum(sum(run[20:]) for run in runs) < sum(sum(run[:20]) for run in runs)
