"""Finished trials by the epochs that they were given, for samplers that learn from short trainings.

A trial counts at its own budget only: what it was worth at a lower rung is what its parent says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.attributes import BUDGET, INFEASIBLE
from tao_automl.search.rungs import value_at

FULL = math.inf  # the budget of a trial that has none of its own


def budget(trial: FrozenTrial) -> float:
    """Epochs that a trial was given; `FULL` for all of the study's."""
    found = trial.user_attrs.get(BUDGET)
    return FULL if found is None else float(found)


def by_budget(trials: Iterable[FrozenTrial], maximize: bool) -> dict[float, list[tuple[float, FrozenTrial]]]:
    """By budget, the lowest first: value and trial of those that came to its end; smaller values are better."""
    found: dict[float, list[tuple[float, FrozenTrial]]] = {}
    for trial in trials:
        value = _value(trial, maximize)
        if value is not None:
            found.setdefault(budget(trial), []).append((-value if maximize else value, trial))
    return dict(sorted(found.items()))


def _value(trial: FrozenTrial, maximize: bool) -> float | None:
    if trial.user_attrs.get(INFEASIBLE):
        return None
    if trial.state == TrialState.COMPLETE:
        return trial.value
    given = trial.user_attrs.get(BUDGET)
    if trial.state != TrialState.PRUNED or given is None or max(trial.intermediate_values, default=-1) < given - 1:
        return None
    return value_at(trial, int(given), maximize)
