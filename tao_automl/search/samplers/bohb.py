"""BOHB's model (Falkner et al. 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale").

A tree-structured Parzen estimator over the trials of the highest budget that has enough of them; a third of the
configs is drawn at random. It belongs to the hyperband schedule. The paper wants one point more than there are
parameters; studies of TAO have many parameters and few trials, so eight points are enough here.
"""

from __future__ import annotations

import math
import random
import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.algorithms import stream
from tao_automl.search.fidelities import by_budget
from tao_automl.search.space import SearchSpace

_RANDOM = 1 / 3  # of the configs
_GOOD = 0.15  # of the points
_POINTS = 8  # at most, before the model is used
_CANDIDATES = 64


class Bohb(BaseSampler):
    """`least` is how many points the model needs, for the good ones and for all."""

    def __init__(self, least: int, seed: int) -> None:
        self._least = least
        self._random = RandomSampler(seed=seed)
        self._is_random = random.Random(seed).random() < _RANDOM
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # `gamma` is what the paper differs by
            self._model = TPESampler(
                n_startup_trials=0,
                n_ei_candidates=_CANDIDATES,
                gamma=lambda count: max(min(least, count // 2), math.ceil(_GOOD * count)),
                multivariate=True,
                constant_liar=False,
                seed=seed,
            )
        self._seen: Study | None = None  # the points of one budget, as a study of their own

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self._seen = None if self._is_random else self._points(study)
        return {} if self._seen is None else self._model.infer_relative_search_space(self._seen, trial)

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002 the model sees one budget of it
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        if self._seen is None or not search_space:
            return {}
        return self._model.sample_relative(self._seen, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        sampler: BaseSampler = self._random if self._seen is None else self._model
        return sampler.sample_independent(self._seen or study, trial, param_name, param_distribution)

    def _points(self, study: Study) -> Study | None:
        maximize = study.direction == StudyDirection.MAXIMIZE
        known = by_budget(study.get_trials(deepcopy=False), maximize)
        enough = [points for points in known.values() if len(points) >= self._least + 2]
        if not enough:
            return None
        seen = optuna.create_study(direction="minimize")
        for value, trial in enough[-1]:
            seen.add_trial(
                optuna.trial.create_trial(
                    state=TrialState.COMPLETE,
                    value=value,
                    params=trial.params,
                    distributions=trial.distributions,
                )
            )
        return seen


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:
    """The model needs as many points as the space has parameters, and one more."""
    return Bohb(min(len(space.parameters) + 1, _POINTS), stream(seed, trials_so_far))
