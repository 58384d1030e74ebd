"""Asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

Trials end at a rung. Whenever there is room, the highest rung is looked at first: if one of the best 1/eta of the
trials that have reached it has not been promoted yet, it goes on to the next rung; where no rung has one, a new config
begins at the lowest. Nobody waits for a rung to fill.

Trial 0, the launched values, is trained for all epochs, because every other trial is compared with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from optuna.trial import FrozenTrial

from tao_automl.errors import UsageError
from tao_automl.search.proposal import Proposal, budget_of
from tao_automl.search.rungs import Terms, at_rung, children, configs, promoted, ranked, rungs
from tao_automl.search.space import SearchSpace


def check(terms: Terms) -> None:
    """Raises:
    UsageError: too few epochs for two rungs, or too few trials to promote one.
    """
    if len(rungs(terms)) < 2:
        raise UsageError(
            f"{terms.epochs} epochs give no rung below the full training, from {terms.min_epochs} epochs on",
            tip="give more --epochs, a lower --min-epochs, or --algorithm auto",
        )
    if terms.configs < terms.reduction:
        raise UsageError(
            f"asha promotes one of {terms.reduction} trials, and there are {terms.configs}",
            tip=f"--trials {terms.reduction} or more, or --algorithm auto",
        )


def propose(trials: Sequence[FrozenTrial], terms: Terms, space: SearchSpace) -> Proposal | None:  # noqa: ARG001
    """A promotion from the highest rung that has one, else a new config at the lowest."""
    steps = rungs(terms)
    gone_on = children(trials)
    for rung, following in reversed(list(itertools.pairwise(steps))):
        there = at_rung(trials, rung, terms)
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
    arriving = terms.configs
    for rung in rungs(terms)[:-1]:
        most = arriving // terms.reduction
        arriving = most + 1  # trial 0 is at each rung
        there = ranked(at_rung(trials, rung, terms), rung, terms)
        waiting = [trial for trial in there if trial.number not in gone_on and budget_of(trial, terms.epochs) == rung]
        found.update(trial.number for trial in waiting[:most])
    return frozenset(found)
