"""DEHB's proposals (Awad et al. 2021, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient ...").

Each budget has a population. A new config is made from a member of it, its target, and a mutant: half the difference
of two members added to a third (rand/1, F 0.5; all three of the better half), crossed with the target parameter by
parameter (binomial, rate 0.5). Of target and offspring the better one stays in the population. While a budget has too
few members for that, those of the one that has most take their place, and before any has enough, configs are drawn at
random. It belongs to the hyperband schedule, which moves the best on to higher budgets.
"""

from __future__ import annotations

import math
import random
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from tao_automl.search.algorithms import stream
from tao_automl.search.fidelities import budget, by_budget
from tao_automl.search.onebyone import OneByOne
from tao_automl.search.space import SearchSpace

_F = 0.5
_CROSSOVER = 0.5
_FEWEST = 16  # members: with fewer, what all of them share is never left again
_TARGET = "dehb:target"  # system attribute of a trial: the number of the member that it competes with


class Dehb(OneByOne):
    """What it needs of a trial's parents is read when the trial begins."""

    def __init__(self, seed: int) -> None:
        self._random = RandomSampler(seed=seed)
        self._rng = random.Random(seed)
        self._target: FrozenTrial | None = None
        self._others: list[FrozenTrial] = []
        self._forced: str | None = None  # one parameter at least is the mutant's

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self._target, self._others = None, []
        known = by_budget(study.get_trials(deepcopy=False), study.direction == StudyDirection.MAXIMIZE)
        populations = {given: _population(points) for given, points in known.items()}
        own = populations.get(budget(trial), [])
        members = own if len(own) >= _FEWEST else max(populations.values(), key=len, default=[])
        if len(members) >= _FEWEST:
            self._choose(members, study, trial)
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self._target is None or not all(param_name in other.params for other in (self._target, *self._others)):
            return self._random.sample_independent(study, trial, param_name, param_distribution)
        crossed = self._rng.random() < _CROSSOVER or param_name == self._forced
        base, one, other = (_unit(parent.params[param_name], param_distribution) for parent in self._others)
        unit = base + _F * (one - other) if crossed else _unit(self._target.params[param_name], param_distribution)
        if not 0 <= unit <= 1:
            return self._random.sample_independent(study, trial, param_name, param_distribution)
        return _value(unit, param_distribution)

    def _choose(self, members: list[FrozenTrial], study: Study, trial: FrozenTrial) -> None:
        """Members, the best first, take turns in being the target; the best half of them are parents of mutants."""
        targets = [other.system_attrs.get(_TARGET) for other in study.get_trials(deepcopy=False)]
        self._target = min(members, key=lambda member: targets.count(member.number))
        rest = [member for member in members if member is not self._target]
        self._others = self._rng.sample(rest[: max(3, len(members) // 2)], 3)
        self._forced = self._rng.choice(sorted(self._target.params)) if self._target.params else None
        study._storage.set_trial_system_attr(trial._trial_id, _TARGET, self._target.number)


def _population(points: list[tuple[float, FrozenTrial]]) -> list[FrozenTrial]:
    """Those that have not lost against an offspring, the best first; smaller values are better."""
    members: dict[int, tuple[float, FrozenTrial]] = {}
    for value, trial in sorted(points, key=lambda point: point[1].number):
        target = members.get(trial.system_attrs.get(_TARGET, -1))
        if target is None or value <= target[0]:
            if target is not None:
                del members[target[1].number]
            members[trial.number] = value, trial
    return [trial for _, trial in sorted(members.values(), key=lambda member: (member[0], member[1].number))]


def _unit(value: Any, distribution: BaseDistribution) -> float:
    """A value's place between the ends of its range; a choice has its share of it."""
    if isinstance(distribution, CategoricalDistribution):
        choices = list(distribution.choices)
        return (choices.index(value) + 0.5) / len(choices) if value in choices else -1.0
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = distribution.low, distribution.high
    if high <= low:
        return 0.0
    if distribution.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return float((value - low) / (high - low))


def _value(unit: float, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[min(int(unit * len(distribution.choices)), len(distribution.choices) - 1)]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = distribution.low, distribution.high
    value = (
        math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
        if distribution.log
        else low + unit * (high - low)
    )
    if distribution.step is not None:
        value = low + round((value - low) / distribution.step) * distribution.step
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:  # noqa: ARG001 learns the space from the trials
    return Dehb(stream(seed, trials_so_far))
