"""Bayesian optimisation for many workers at once: configs that run together are kept further apart.

Proposals are those of `bayesian`, with the penalty around running configs of González et al. 2016 ("Batch Bayesian
Optimization via Local Penalization").
"""

from __future__ import annotations

from optuna.samplers import BaseSampler

from tao_automl.search.samplers.bayesian import Bayesian
from tao_automl.search.space import SearchSpace


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:  # noqa: ARG001 the trial's number tells
    """As `bayesian` where one trial runs at a time."""
    return Bayesian(space, seed, batch=True)
