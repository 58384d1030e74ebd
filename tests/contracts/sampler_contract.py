"""What every sampler promises: values inside their ranges and rules, the same again for the same seed, and
more than luck.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from tao_automl.search import algorithms
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import keypath
from tao_automl.tao.facts import ActiveFact, SearchFacts
from tao_automl.tao.schema import Schema

Values = Mapping[str, Any]

_LEAVES: Mapping[str, dict[str, Any]] = {
    "lr": {"type": "float", "default": 1e-3, "minimum": 0.0, "maximum": 1.0, "math_cond": "> 0.0"},
    "momentum": {"type": "float", "default": 0.9, "minimum": 0.0, "maximum": 1.0},
    "batch_size": {"type": "int", "default": 8, "minimum": 1},
    "num_queries": {"type": "int", "default": 300, "minimum": 1},
    "topk": {"type": "int", "default": 100, "minimum": 20, "maximum": 900},
    "crop_min": {"type": "int", "default": 256, "minimum": 32, "maximum": 1024},
    "crop_max": {
        "type": "int", "default": 512, "minimum": 32, "maximum": 1333,
        "math_cond": "> depends_on", "depends_on": "crop_min",
    },
    "optimizer": {"type": "categorical", "default": "AdamW", "enum": ["AdamW", "SGD"]},
    "patch_size": {"type": "ordered_int", "default": 14, "enum": [14, 16, 32]},
}  # fmt: skip


def contract_space(*paths: str) -> SearchSpace:
    """A space with each kind of range, a rule, a gap and a condition; or only some of its paths."""
    chosen = paths or tuple(_LEAVES)
    leaves = {path: {**_LEAVES[path], "automl_enabled": True} for path in chosen}
    document = {"properties": leaves, "automl_default_parameters": list(leaves)}
    launched: dict[str, Any] = {}
    for path in leaves:
        launched = keypath.assign(launched, path, leaves[path]["default"])
    facts = SearchFacts()
    if not paths:
        when = ActiveFact("momentum", when=({"optimizer": "SGD"},))
        facts = SearchFacts(active=(when,), rules=("topk <= num_queries",))
    schema = Schema.parse(document, "contract")
    return SearchSpace.build(schema, launched, facts, Overrides(), Limits(epochs=10, samples=100))


def search(
    name: str, space: SearchSpace, objective: Callable[[Values], float], trials: int, seed: int
) -> list[tuple[Values, float]]:
    """A study of the sampler: trial 0 is the centre; every seventh trial fails, every fifth is pruned."""
    study = optuna.create_study(direction="minimize")
    study.enqueue_trial(space.centre())
    found = []
    for number in range(trials):
        study.sampler = algorithms.sampler(name, space, seed, number)
        trial = study.ask()
        values = space.suggest(trial)
        found.append((values, objective(values)))
        if number % 7 == 6:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 5 == 4:
            trial.report(found[-1][1], 0)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, found[-1][1])
    return found


def bowl(values: Values) -> float:
    """Best at lr 1e-4, far from the centre, with a few layers less."""
    return (math.log10(values["lr"]) + 4) ** 2 + (math.log2(values["batch_size"]) - 1) ** 2 / 4


def valley(values: Values) -> float:
    """Large batches want large learning rates; the valley slopes down to large ones."""
    ratio = math.log10(values["lr"]) - 0.3 * math.log2(values["batch_size"]) + 3.5
    return 10 * ratio**2 - 0.2 * math.log2(values["batch_size"])


@functools.cache
def median_best(name: str, objective: Callable[[Values], float]) -> float:
    """Over nine seeds, of 24 trials each."""
    space = contract_space("lr", "batch_size")
    runs = [search(name, space, objective, trials=24, seed=seed) for seed in range(9)]
    return statistics.median(min(value for _, value in run) for run in runs)


class SamplerContract:
    """Inherit and give the fixture `name`."""

    def test_every_value_lies_in_its_range_and_obeys_the_rules(self, name: str) -> None:
        space = contract_space()
        known = {parameter.path: parameter for parameter in space.parameters}
        for values, _ in search(name, space, lambda values: values["lr"], trials=25, seed=1):
            for path, value in values.items():
                parameter = known[path]
                if parameter.choices is not None:
                    assert value in parameter.choices
                else:
                    assert parameter.low <= value <= parameter.high
            assert values["topk"] <= values["num_queries"]
            assert values["crop_min"] < values["crop_max"]
            assert ("momentum" in values) == (values["optimizer"] == "SGD")

    def test_the_same_seed_proposes_the_same_and_another_seed_does_not(self, name: str) -> None:
        space = contract_space()
        runs = [search(name, space, lambda values: values["lr"], trials=12, seed=seed) for seed in (3, 3, 4)]
        assert runs[0] == runs[1]
        assert runs[0][1:] != runs[2][1:]

    def test_proposals_differ_from_trial_to_trial(self, name: str) -> None:
        found = search(name, contract_space(), lambda values: values["lr"], trials=12, seed=5)
        assert all(a != b for (a, _), (b, _) in itertools.combinations(found, 2))

    def test_proposals_differ_while_nothing_has_finished(self, name: str) -> None:
        space = contract_space()
        study = optuna.create_study()
        proposed = []
        for number in range(8):
            study.sampler = algorithms.sampler(name, space, 1, number)
            proposed.append(space.suggest(study.ask()))
        assert all(a != b for a, b in itertools.combinations(proposed, 2))

    def test_a_restart_changes_nothing(self, name: str) -> None:
        """The stored trials are all that is remembered."""
        space, study = contract_space(), optuna.create_study()
        study.enqueue_trial(space.centre())
        for number in range(9):
            study.sampler = algorithms.sampler(name, space, 2, number)
            trial = study.ask()
            values = space.suggest(trial)
            if number < 7:
                study.tell(trial, values["lr"])
        restarted = optuna.create_study()
        restarted.add_trials(study.get_trials(deepcopy=True))
        following = []
        for known in (study, restarted):
            known.sampler = algorithms.sampler(name, space, 2, 9)
            following.append(space.suggest(known.ask()))
        assert following[0] == following[1]

    @pytest.mark.parametrize("objective", [bowl, valley])
    def test_it_beats_random_draws(self, name: str, objective: Callable[[Values], float]) -> None:
        """The median over seeds of the best of 24 trials; a random sampler is only asked to be as good."""
        assert median_best(name, objective) <= median_best("random", objective)
