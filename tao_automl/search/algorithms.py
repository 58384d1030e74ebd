"""Samplers and pruners by name: the files of the two folders are the list."""

from __future__ import annotations

import importlib
import pkgutil
import random
from types import ModuleType
from typing import TYPE_CHECKING, cast

from tao_automl.errors import UsageError, near
from tao_automl.search import pruners, samplers

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from tao_automl.search.space import SearchSpace


def sampler_names() -> tuple[str, ...]:
    """Names for `--algorithm`, sorted."""
    return _names(samplers)


def pruner_names() -> tuple[str, ...]:
    """Names for `--pruner`, sorted."""
    return _names(pruners)


def sampler(name: str, space: SearchSpace, seed: int, trials_so_far: int) -> BaseSampler:
    """A fresh sampler: its whole state is the stored trials, `seed` and `trials_so_far`.

    Raises:
        UsageError: there is no such algorithm.
    """
    return cast("BaseSampler", _module(samplers, name, "algorithm").make(space, seed, trials_so_far))


def pruner(name: str, epochs: int, direction: str) -> BasePruner:
    """`epochs` of one trial; `direction` is 'maximize' or 'minimize'.

    Raises:
        UsageError: there is no such pruner.
    """
    return cast("BasePruner", _module(pruners, name, "pruner").make(epochs, direction))


def check(algorithm: str, pruner_name: str) -> None:
    """Raises:
    UsageError: one of the two does not exist.
    """
    _module(samplers, algorithm, "algorithm")
    _module(pruners, pruner_name, "pruner")


def takes_several(name: str) -> bool:
    """Whether an algorithm can weigh several objectives against each other.

    Raises:
        UsageError: there is no such algorithm.
    """
    return bool(getattr(_module(samplers, name, "algorithm"), "SEVERAL", False))


def stream(seed: int, trials_so_far: int) -> int:
    """A seed for each trial, so that a resumed study continues with numbers it has not used."""
    return random.Random(f"{seed}/{trials_so_far}").getrandbits(32)


def _names(folder: ModuleType) -> tuple[str, ...]:
    return tuple(sorted(found.name for found in pkgutil.iter_modules(folder.__path__)))


def _module(folder: ModuleType, name: str, kind: str) -> ModuleType:
    if name not in _names(folder):
        raise UsageError(f"there is no {kind} '{name}'", near(name, _names(folder)))
    return importlib.import_module(f"{folder.__name__}.{name}")
