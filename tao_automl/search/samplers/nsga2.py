"""NSGA-II (Deb et al., IEEE Transactions on Evolutionary Computation 2002), for several objectives."""

from __future__ import annotations

from optuna.samplers import BaseSampler, NSGAIISampler

from tao_automl.search.algorithms import stream
from tao_automl.search.space import SearchSpace

SEVERAL = True

# Optuna's fifty would be a random search for most studies: a population is a generation of trainings.
_POPULATION = 8


def make(space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:  # noqa: ARG001 learns the space from the trials
    """Generations of eight; configs that break a constraint rank behind all that keep it."""
    return NSGAIISampler(population_size=_POPULATION, seed=stream(seed, trials_so_far))
