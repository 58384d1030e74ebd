"""Bayesian optimisation around the launched config: the default.

The model is in `search/surrogate`. It is asked once a trial, from the stored trials alone: the same seed and the same
results give the same config, also after a restart.
"""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tao_automl.search.algorithms import stream
from tao_automl.search.onebyone import OneByOne
from tao_automl.search.space import SearchSpace


class Bayesian(OneByOne):
    """Proposes all of a trial's params at once, and moves each into the range that rules leave it.

    Optuna's "relative" sampling would need the ranges beforehand; here they depend on the trial's other params.
    """

    def __init__(self, space: SearchSpace, seed: int, batch: bool = False) -> None:
        self._space, self._seed, self._batch = space, seed, batch
        self._proposed: tuple[int, dict[str, Any]] | None = None

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The code of one parameter.

        Raises:
            ValueError: the study has several objectives.
        """
        if len(study.directions) > 1:
            raise ValueError("the bayesian sampler searches for one objective")
        if self._proposed is None or self._proposed[0] != trial.number:
            from tao_automl.search.surrogate.ask import next_config  # noqa: PLC0415 scipy is slow to import

            self._proposed = trial.number, next_config(study, trial.number, self._space, self._seed, self._batch)
        code = self._proposed[1].get(param_name)
        return _inside(code, param_distribution, stream(self._seed, trial.number))


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:  # noqa: ARG001 the trial's number tells
    """Starts at the centre of the space, looks around it, and goes where the results point."""
    return Bayesian(space, seed)


def _inside(code: Any, known: BaseDistribution, seed: int) -> Any:
    """The nearest code of the distribution; one that nothing is known of is drawn."""
    if isinstance(known, CategoricalDistribution):
        return code if code in known.choices else known.choices[seed % len(known.choices)]
    assert isinstance(known, (IntDistribution, FloatDistribution))
    if code is None:
        code = known.low + (known.high - known.low) * (seed / 2**32)
    code = min(max(code, known.low), known.high)
    if known.step:
        code = known.low + round((code - known.low) / known.step) * known.step
        code = min(code, known.high)
    return int(code) if isinstance(known, IntDistribution) else float(code)
