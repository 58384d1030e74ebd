"""Hyperband (Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization").

Brackets of successive halving, one after the other: the first starts the most configs at the lowest rung, the last
starts few and trains them for all epochs. When all trials of a bracket that train up to a rung have ended, the best
1/eta of them go on to the next. Which bracket a config belongs to follows from its place among the configs alone.
Configs of the next bracket fill what a rung leaves idle.

Trial 0, the launched values, is trained for all epochs and belongs to no bracket.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from tao_automl.errors import UsageError
from tao_automl.search.proposal import Proposal
from tao_automl.search.rungs import Terms, at_rung, children, configs, promoted, ranked, rungs
from tao_automl.search.space import SearchSpace


@dataclass(frozen=True)
class Bracket:
    """`steps` are its rungs in epochs; `first` and `size` say which configs it has, counted without trial 0."""

    steps: tuple[int, ...]
    first: int
    size: int


def brackets(terms: Terms) -> list[Bracket]:
    """As many as the study's configs fill, the last one perhaps only in part."""
    steps = rungs(terms)
    found: list[Bracket] = []
    most, first = len(steps) - 1, 0
    while first < terms.configs - 1:
        halvings = most - len(found) % (most + 1)
        size = math.ceil((most + 1) / (halvings + 1) * terms.reduction**halvings)
        size = min(size, terms.configs - 1 - first)
        found.append(Bracket(steps[most - halvings :], first, size))
        first += size
    return found


def ends(terms: Terms) -> tuple[int, ...]:
    """The rungs."""
    return rungs(terms)


def check(terms: Terms) -> None:
    """Raises:
    UsageError: too few epochs for two rungs, or too few trials for the first bracket.
    """
    halvings = len(rungs(terms)) - 1
    if halvings < 1:
        raise UsageError(
            f"{terms.epochs} epochs give no rung below the full training, from {terms.min_epochs} epochs on",
            tip="give more --epochs, a lower --min-epochs, or --algorithm auto",
        )
    needed_trials = 1 + terms.reduction**halvings
    if terms.configs < needed_trials:
        raise UsageError(
            f"the first bracket needs {needed_trials} trials, trial 0 among them, and there are {terms.configs}",
            tip=f"--trials {needed_trials} or more, a higher --min-epochs, or --algorithm asha",
        )


def propose(trials: Sequence[FrozenTrial], terms: Terms, space: SearchSpace) -> Proposal | None:  # noqa: ARG001
    """A promotion that is due in any bracket, else the next config."""
    started = configs(trials)
    if not started:
        return Proposal()
    known = brackets(terms)
    gone_on = children(trials)
    for bracket in known:
        for level, chosen in _levels(bracket, trials, terms):
            waiting = [trial for trial in chosen if trial.number not in gone_on]
            if waiting:
                return promoted(waiting[0], bracket.steps[level + 1], terms)
    place = len(started) - 1
    mine = next((item for item in known if item.first <= place < item.first + item.size), None)
    return Proposal(epochs=mine.steps[0]) if mine is not None else None


def needed(trials: Sequence[FrozenTrial], terms: Terms) -> frozenset[int]:
    """Of those that train up to a rung as many as go on from it: the best so far that have not yet."""
    found: set[int] = set()
    gone_on = children(trials)
    for bracket in brackets(terms):
        members = _members(bracket, trials)
        for level, rung in enumerate(bracket.steps[:-1]):
            best = ranked(_there(members, trials, rung, terms), rung, terms)
            most = bracket.size // terms.reduction ** (level + 1)
            found.update(trial.number for trial in best[:most] if trial.number not in gone_on)
            members = [trials[child] for trial in members for child in gone_on.get(trial.number, ())]
    return frozenset(found)


def _levels(bracket: Bracket, trials: Sequence[FrozenTrial], terms: Terms) -> list[tuple[int, list[FrozenTrial]]]:
    """For each rung that all of its trials have ended at, which of them go on."""
    members, gone_on, found = _members(bracket, trials), children(trials), []
    expected = bracket.size
    for level, rung in enumerate(bracket.steps[:-1]):
        if len(members) < expected or not all(trial.state.is_finished() for trial in members):
            break
        best = ranked(_there(members, trials, rung, terms), rung, terms)
        chosen = best[: len(members) // terms.reduction]
        found.append((level, chosen))
        members = [trials[child] for trial in chosen for child in gone_on.get(trial.number, ())]
        expected = len(chosen)
        if not chosen:
            break
    return found


def _members(bracket: Bracket, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return configs(trials)[1:][bracket.first : bracket.first + bracket.size]


def _there(members: Sequence[FrozenTrial], trials: Sequence[FrozenTrial], rung: int, terms: Terms) -> list[FrozenTrial]:
    own = {trial.number for trial in members}
    return [trial for trial in at_rung(trials, rung, terms) if trial.number in own]
