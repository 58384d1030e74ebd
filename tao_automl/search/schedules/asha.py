"""Asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

Trials end at a rung. Whenever there is room, the highest rung is looked at first: if one of the best 1/eta of the
trials that have reached it has not been promoted yet, it goes on to the next rung; where no rung has one, a new config
begins at the lowest. Nobody waits for a rung to fill.

Trial 0, the launched values, is trained for all epochs and is at no rung.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from optuna.trial import FrozenTrial

from tao_automl.errors import UsageError
from tao_automl.search.proposal import Proposal, budget_of
from tao_automl.search.rungs import Terms, at_rung, children, configs, promoted, ranked, rungs
from tao_automl.search.space import SearchSpace


def ends(terms: Terms) -> tuple[int, ...]:
    """The rungs."""
    return rungs(terms)


def check(terms: Terms) -> None:
    """Raises:
    UsageError: too few epochs for two rungs, or too few trials to promote one.
    """
    if len(rungs(terms)) < 2:
        raise UsageError(
            f"{terms.epochs} epochs give no rung below the full training, from {terms.min_epochs} epochs on",
            tip="give more --epochs, a lower --min-epochs, or --algorithm auto",
        )
    if terms.configs <= terms.reduction:
        raise UsageError(
            f"asha promotes one of {terms.reduction} trials besides trial 0, and there are {terms.configs} in all",
            tip=f"--trials {terms.reduction + 1} or more, or --algorithm auto",
        )


def propose(trials: Sequence[FrozenTrial], terms: Terms, space: SearchSpace) -> Proposal | None:  # noqa: ARG001
    """A promotion from the highest rung that has one, else a new config at the lowest."""
    steps = rungs(terms)
    gone_on = children(trials)
    for rung, following in reversed(list(itertools.pairwise(steps))):
        there = _there(trials, rung, terms)
        for trial in ranked(there, rung, terms)[: len(there) // terms.reduction]:
            if budget_of(trial, terms.epochs) == rung and trial.number not in gone_on:
                return promoted(trial, following, terms)
    started = configs(trials)
    if len(started) >= terms.configs:
        return None
    return Proposal(epochs=steps[0] if started else None)


def needed(trials: Sequence[FrozenTrial], terms: Terms) -> frozenset[int]:
    """In each rung as many of the best as may yet be promoted, and have not been."""
    found: set[int] = set()
    gone_on = children(trials)
    arriving = terms.configs - 1
    for rung in rungs(terms)[:-1]:
        most = arriving // terms.reduction
        arriving = most
        there = ranked(_there(trials, rung, terms), rung, terms)
        waiting = [trial for trial in there if trial.number not in gone_on and budget_of(trial, terms.epochs) == rung]
        found.update(trial.number for trial in waiting[:most])
    return frozenset(found)


def _there(trials: Sequence[FrozenTrial], rung: int, terms: Terms) -> list[FrozenTrial]:
    return [trial for trial in at_rung(trials, rung, terms) if trial.number > 0]
