"""Hyperband's brackets by stopping (Li et al. 2018): some trials are judged from the first rung on, some later.

Which bracket a trial belongs to follows from its number alone; it is compared within it. A bracket that is judged a
rung later has a third of the trials.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from tao_automl.search.pruners.asha import REDUCTION, Halving, judged_rungs


class Brackets(Halving):
    """`steps` are the rungs of the first bracket; each other one leaves out one more of the first of them."""

    def bracket(self, number: int) -> int:
        """In a run of numbers, most belong to the first bracket: a place in the run is a bracket."""
        counts = [REDUCTION**later for later in range(len(self._steps), -1, -1)]
        place = number % sum(counts)
        for bracket, count in enumerate(counts):
            if place < count:
                return bracket
            place -= count
        raise AssertionError("a place in the run is one of its brackets")

    def rungs_of(self, number: int) -> Sequence[int]:
        return self._steps[self.bracket(number) :]

    def rivals(self, trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
        own = self.bracket(number)
        return [trial for trial in super().rivals(trials, number) if self.bracket(trial.number) == own]


def make(epochs: int, direction: str) -> BasePruner:  # noqa: ARG001 the study knows its direction
    return Brackets(judged_rungs(epochs))
