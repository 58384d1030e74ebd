"""Repeats of the best configs with other seeds, after the search: the winner is then chosen by their mean.

The best of many noisy values was lucky, so a second training of it is worth less on average. Pure functions of the
stored trials: a driver that dies is followed by one that proposes the same.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.attributes import BEST_VALUE, KIND, PARENT
from tao_automl.search.proposal import Proposal

CONFIRM = "confirm"
REPEATS = 2  # of each config, beside its first training
_SEEDS_APART = 1000


@dataclass(frozen=True)
class Confirmed:
    """A config that was trained again. `values` has the first training, which was chosen for it, before the others."""

    trial: int
    values: tuple[float, ...]
    repeats: tuple[int, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`. `spread` is the lowest and the highest value, `repeats_mean` leaves the first one out."""
        return {
            "trial": self.trial,
            "repeats": list(self.repeats),
            "values": list(self.values),
            "mean": self.mean,
            "spread": [min(self.values), max(self.values)],
            "repeats_mean": statistics.fmean(self.values[1:]),
        }


def is_repeat(trial: FrozenTrial) -> bool:
    return trial.user_attrs.get(KIND) == CONFIRM


def propose(ranked: Sequence[FrozenTrial], trials: Sequence[FrozenTrial], count: int, seed: int) -> Proposal | None:
    """The next repeat; None if there is none, or while a trial of the search is still running.

    Args:
        ranked: trials of the search that ran to their end and may win, the best first.
        trials: all of the study.
        count: of how many configs.
        seed: that of the first training; a repeat gets another one.
    """
    if any(trial.state == TrialState.RUNNING and not is_repeat(trial) for trial in trials):
        return None
    begun = [trial.user_attrs.get(PARENT) for trial in trials if is_repeat(trial)]
    for trial in chosen(ranked, trials, count):
        number = begun.count(trial.number)
        if number < REPEATS:
            return Proposal(trial.params, parent=trial.number, seed=seed + _SEEDS_APART * (number + 1), kind=CONFIRM)
    return None


def chosen(ranked: Sequence[FrozenTrial], trials: Sequence[FrozenTrial], count: int) -> list[FrozenTrial]:
    """The configs that are repeated: those whose repeats have begun, then the best."""
    begun = dict.fromkeys(trial.user_attrs.get(PARENT) for trial in trials if is_repeat(trial))
    first = [trial for trial in ranked if trial.number in begun]
    return [*first, *(trial for trial in ranked if trial.number not in begun)][: max(count, len(first))]


def confirmed(trials: Sequence[FrozenTrial]) -> Mapping[int, Confirmed]:
    """Configs by the number of their first training. Empty until all repeats are over: no winner changes on the way."""
    repeats = [trial for trial in trials if is_repeat(trial)]
    if any(not trial.state.is_finished() for trial in repeats):
        return {}
    found: dict[int, Confirmed] = {}
    known = {trial.number: trial for trial in trials}
    for trial in repeats:
        parent, value = known.get(trial.user_attrs[PARENT]), trial.user_attrs.get(BEST_VALUE)
        if trial.state != TrialState.COMPLETE or value is None or parent is None:
            continue
        before = found.get(parent.number) or Confirmed(parent.number, (parent.user_attrs[BEST_VALUE],), ())
        found[parent.number] = Confirmed(parent.number, (*before.values, value), (*before.repeats, trial.number))
    return found
