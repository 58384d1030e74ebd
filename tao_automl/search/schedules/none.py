"""Every trial is a config of its own, trained for all epochs."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from tao_automl.search.proposal import Proposal
from tao_automl.search.rungs import Terms, configs
from tao_automl.search.space import SearchSpace


def ends(terms: Terms) -> tuple[int, ...]:
    """Every training is a full one."""
    return (terms.epochs,)


def check(terms: Terms) -> None:
    """Any number of trials and epochs will do."""


def propose(trials: Sequence[FrozenTrial], terms: Terms, space: SearchSpace) -> Proposal | None:  # noqa: ARG001
    """The sampler decides, as long as there are trials left."""
    return Proposal() if len(configs(trials)) < terms.configs else None


def needed(trials: Sequence[FrozenTrial], terms: Terms) -> frozenset[int]:  # noqa: ARG001
    """No trial goes on from another."""
    return frozenset()
