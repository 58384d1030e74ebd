"""What schedules of several fidelities share: the rungs of a study, and what trials are worth at one.

A trial's value at a rung is the best of its epochs up to there, as a trial's value is that of its best epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.attributes import END, INFEASIBLE, PARENT
from tao_automl.search.proposal import PROMOTED, Proposal, Start, budget_of, is_config, is_proposed

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Terms:
    """What a schedule must know of its study.

    `configs` is what `--trials` says; `epochs` those of a full training. `resumes`: a training that is resumed is the
    one that was never interrupted, because its learning rates do not depend on its length. `min_epochs` and
    `reduction` (eta) make the rungs, `interval` is in epochs. `weights`: a training can start from the weights of
    another; the paths in `fixed` shape the network, so that it cannot with other values of those.
    """

    configs: int
    epochs: int
    maximize: bool = True
    resumes: bool = False
    min_epochs: int = 1
    reduction: int = 3
    interval: int = 1
    seed: int = 0
    weights: bool = False
    fixed: frozenset[str] = frozenset()


def rungs(terms: Terms) -> tuple[int, ...]:
    """Epochs at which trials are compared: min_epochs * eta^k, and last the full training.

    A rung so near to the last one that promotion would add less than a factor of sqrt(eta) is left out.
    """
    found, epochs = [], terms.min_epochs
    while epochs * math.sqrt(terms.reduction) <= terms.epochs and epochs < terms.epochs:
        found.append(epochs)
        epochs *= terms.reduction
    return (*found, terms.epochs)


def default_min_epochs(epochs: int, reduction: int) -> int:
    """A first rung that leaves at most three promotions; very short trainings begin at one epoch."""
    return max(1, round(epochs / reduction**3))


def value_at(trial: FrozenTrial, epochs: int, maximize: bool) -> float | None:
    """The best value of its first `epochs` epochs; None if it has none."""
    values = [value for epoch, value in trial.intermediate_values.items() if epoch < epochs and math.isfinite(value)]
    return (max(values) if maximize else min(values)) if values else None


def at_rung(trials: Sequence[FrozenTrial], rung: int, terms: Terms) -> list[FrozenTrial]:
    """The finished trials that are compared at a rung: each config once, in the trial that has trained through it.

    Where the learning rates depend on the length of the training, only trainings of one length can be compared.
    """
    return [trial for trial in trials if _reached(trial, rung, terms) and _done_before(trial, trials, terms) < rung]


def _reached(trial: FrozenTrial, rung: int, terms: Terms) -> bool:
    if trial.state not in FINISHED or trial.user_attrs.get(INFEASIBLE):
        return False
    budget = budget_of(trial, terms.epochs)
    comparable = budget >= rung if terms.resumes else budget == rung
    return comparable and any(epoch >= rung - 1 for epoch in trial.intermediate_values)


def _done_before(trial: FrozenTrial, trials: Sequence[FrozenTrial], terms: Terms) -> int:
    parent = trial.user_attrs.get(PARENT)
    return 0 if parent is None else budget_of(trials[int(parent)], terms.epochs)


def ranked(trials: Iterable[FrozenTrial], rung: int, terms: Terms) -> list[FrozenTrial]:
    """Those that have a value at a rung, the best first; of equal ones the earlier."""
    sign = -1.0 if terms.maximize else 1.0
    valued = [(value_at(trial, rung, terms.maximize), trial) for trial in trials]
    usable = [(sign * value, trial.number, trial) for value, trial in valued if value is not None]
    return [trial for _, _, trial in sorted(usable, key=lambda item: item[:2])]


def children(trials: Iterable[FrozenTrial]) -> dict[int, list[int]]:
    """The trials that go on from each, by its number."""
    found: dict[int, list[int]] = {}
    for trial in trials:
        parent = trial.user_attrs.get(PARENT)
        if parent is not None:
            found.setdefault(int(parent), []).append(trial.number)
    return found


def configs(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Configs that have been proposed, in the order of their numbers."""
    return [trial for trial in trials if is_config(trial) and is_proposed(trial)]


def promoted(trial: FrozenTrial, epochs: int, terms: Terms) -> Proposal:
    """The same config up to `epochs`: resumed where that is exact and its last checkpoint is there, else from the
    beginning.
    """
    exact = terms.resumes and trial.user_attrs.get(END) is not None
    return Proposal(trial.params, trial.number, Start.RESUME if exact else Start.FRESH, epochs, kind=PROMOTED)
