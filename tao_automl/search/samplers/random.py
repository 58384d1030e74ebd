"""Independent draws: the yardstick that every other sampler has to beat."""

from __future__ import annotations

from optuna.samplers import BaseSampler, RandomSampler

from tao_automl.search.algorithms import stream
from tao_automl.search.space import SearchSpace

SEVERAL = True


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:  # noqa: ARG001 the same for every space
    """Uniform in the scale of each parameter."""
    return RandomSampler(seed=stream(seed, trials_so_far))
