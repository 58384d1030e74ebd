"""Algorithms by name: what proposes configs, what stops trials early, and what trains which for how long.

The files of `samplers`, `pruners` and `schedules` are the parts; an algorithm of `--algorithm` is one of each. The
names are those that TAO's users know.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, cast

from tao_automl.errors import UsageError, near
from tao_automl.search import pruners, samplers, schedules

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from tao_automl.search.proposal import Proposal
    from tao_automl.search.rungs import Terms
    from tao_automl.search.space import SearchSpace


@dataclass(frozen=True)
class Algorithm:
    """The parts by the names of their files, and in `about` what it is, with its source."""

    sampler: str
    pruner: str
    schedule: str
    about: str


_MODEL = "bayesian"  # what `auto` and `bayesian` propose with

ALGORITHMS: Mapping[str, Algorithm] = {
    "auto": Algorithm(_MODEL, "curves", "none", "what is best for most studies"),
    "bayesian": Algorithm(_MODEL, "curves", "none", "a model of what was seen proposes what to try next"),
    "bfbo": Algorithm("bfbo", "curves", "none", "the same, a batch of configs at a time"),
    "random": Algorithm("random", "curves", "none", "independent draws (Bergstra and Bengio 2012)"),
    "nsga2": Algorithm("nsga2", "none", "none", "a genetic algorithm for several metrics (Deb et al. 2002)"),
    "asha": Algorithm("random", "none", "asha", "asynchronous successive halving (Li et al. 2020)"),
    "hyperband": Algorithm("random", "none", "hyperband", "brackets of successive halving (Li et al. 2018)"),
    "hyperband_es": Algorithm("random", "curves", "hyperband", "the same, and plainly worse curves stop between rungs"),
    "bohb": Algorithm("bohb", "none", "hyperband", "hyperband with a model that proposes (Falkner et al. 2018)"),
    "dehb": Algorithm("dehb", "none", "hyperband", "hyperband with differential evolution (Awad et al. 2021)"),
    "pbt": Algorithm("random", "none", "pbt", "population based training (Jaderberg et al. 2017)"),
    "tpe": Algorithm("tpe", "curves", "none", "tree-structured Parzen estimator (Bergstra et al. 2011)"),
    "gp": Algorithm("gp", "curves", "none", "a Gaussian process (Snoek et al. 2012)"),
}


@dataclass(frozen=True)
class Schedule:
    """A schedule for one study: what the next trial is."""

    name: str
    terms: Terms

    @property
    def continues(self) -> bool:
        """True if trials go on from others."""
        return self.name != "none"

    def check(self) -> None:
        """Raises:
        UsageError: it cannot work with so few trials or epochs.
        """
        self._module.check(self.terms)

    def propose(self, trials: Sequence[FrozenTrial], space: SearchSpace) -> Proposal | None:
        """The next trial; None while others must end first, or if there is none."""
        return cast("Proposal | None", self._module.propose(trials, self.terms, space))

    def needed(self, trials: Sequence[FrozenTrial]) -> frozenset[int]:
        """Finished trials from whose last checkpoint a later one may go on."""
        return cast("frozenset[int]", self._module.needed(trials, self.terms))

    def ends(self) -> tuple[int, ...]:
        """The epochs at which trainings end and are compared; the last is a full one."""
        return cast("tuple[int, ...]", self._module.ends(self.terms))

    @property
    def _module(self) -> ModuleType:
        return _module(schedules, self.name, "schedule")


def names() -> tuple[str, ...]:
    """Names for `--algorithm`, the default first."""
    there = sampler_names()
    return tuple(name for name, found in ALGORITHMS.items() if found.sampler in there)


def sampler_names() -> tuple[str, ...]:
    """The files of `samplers`, sorted."""
    return _names(samplers)


def pruner_names() -> tuple[str, ...]:
    """Names for `--pruner`, sorted."""
    return _names(pruners)


def schedule_names() -> tuple[str, ...]:
    """The files of `schedules`, sorted."""
    return _names(schedules)


def find(name: str) -> Algorithm:
    """An algorithm by its name, or the sampler of that name and nothing else.

    Raises:
        UsageError: there is neither.
    """
    if name in names():
        return ALGORITHMS[name]
    if name not in sampler_names():
        raise UsageError(f"there is no algorithm '{name}'", near(name, names()))
    return Algorithm(name, "none", "none", "the sampler of this name")


def sampler(name: str, space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:
    """A fresh sampler of an algorithm: its whole state is the stored trials, `seed` and `trials_so_far`.

    Raises:
        UsageError: there is no such algorithm.
    """
    return cast("BaseSampler", _module(samplers, find(name).sampler, "sampler").make(space, seed, trials_so_far))


def pruner(name: str, epochs: int, direction: str) -> BasePruner:
    """`epochs` of one trial; `direction` is 'maximize' or 'minimize'.

    Raises:
        UsageError: there is no such pruner.
    """
    return cast("BasePruner", _module(pruners, name, "pruner").make(epochs, direction))


def check(algorithm: str, pruner_name: str | None) -> None:
    """Raises:
    UsageError: one of the two does not exist.
    """
    _module(pruners, pruner_name or find(algorithm).pruner, "pruner")
    find(algorithm)


def takes_several(name: str) -> bool:
    """Whether an algorithm can weigh several objectives against each other.

    Raises:
        UsageError: there is no such algorithm.
    """
    found = find(name)
    return found.schedule == "none" and bool(getattr(_module(samplers, found.sampler, "sampler"), "SEVERAL", False))


def stream(seed: int, trials_so_far: int) -> int:
    """A seed for each trial, so that a resumed study continues with numbers it has not used."""
    return random.Random(f"{seed}/{trials_so_far}").getrandbits(32)


def _names(folder: ModuleType) -> tuple[str, ...]:
    return tuple(sorted(found.name for found in pkgutil.iter_modules(folder.__path__)))


def _module(folder: ModuleType, name: str, kind: str) -> ModuleType:
    if name not in _names(folder):
        raise UsageError(f"there is no {kind} '{name}'", near(name, _names(folder)))
    return importlib.import_module(f"{folder.__name__}.{name}")
