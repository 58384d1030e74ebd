"""What a study's trials tell: scores at points, configs that run now, and configs that could not run.

COMPLETE trials count with their value. A PRUNED one was stopped early: it counts with the value that it would have
ended at, as far as full curves tell, in doubt as far as they leave it open, and never as better than the best that
finished. A config that diverged is the worst there is. One that ran out of memory has no score, but is remembered as
one that cannot run. Failures that say nothing of the config are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search import curves
from tao_automl.search.attributes import CHANGED, INFEASIBLE, REASON
from tao_automl.search.curves import Estimate
from tao_automl.search.surrogate.axes import Cube, Points

if TYPE_CHECKING:
    from tao_automl.search.space import SearchSpace

_USUAL_NOISE = 0.01  # variance of a score that was seen, as the model expects it
_DIVERGED = "diverged"  # a word of tao.failure.FailureReason


@dataclass(frozen=True)
class History:
    """Points a row each. `values` belong to `points`, larger is better; -inf is a config that diverged. `doubts` are
    standard deviations of values that are estimates; 0 for what was seen.
    """

    points: Points
    values: Points
    doubts: Points
    running: Points
    failed: Points  # could not run: as proposed, and as last tried

    @property
    def taken(self) -> Points:
        """Every config that needs no other trial."""
        return np.vstack([self.points, self.running, self.failed])

    def noise(self, scores: Points) -> Points:
        """How noisy each of the scores that were made of the values is, to one that was seen."""
        out = np.ones(len(self.values))
        finite = np.isfinite(self.values)
        if finite.any():
            known, doubts = self.values[finite], self.doubts[finite]
            order = np.argsort(known, kind="stable")
            low, high = (np.interp(known + d, known[order], scores[finite][order]) for d in (-doubts, doubts))
            out[finite] += np.square((high - low) / 2) / _USUAL_NOISE
        return out


def read(cube: Cube, space: SearchSpace, trials: Sequence[FrozenTrial], maximize: bool, asked: int) -> History:
    """The history of a study before its trial `asked` gets its config."""
    sign = 1.0 if maximize else -1.0
    ends = _ends(trials, maximize)
    scored: list[tuple[Mapping[str, Any], float, float]] = []
    running, failed = [], []
    for trial in trials:
        if trial.number == asked or trial.state is TrialState.WAITING:
            continue
        ran = _ran(space, trial)
        if trial.state is TrialState.RUNNING:
            running.append(ran)
        elif trial.user_attrs.get(REASON) == _DIVERGED:
            scored.append((ran, -math.inf, 0.0))
        elif _infeasible(trial):
            failed.append(ran)
        elif trial.state is TrialState.COMPLETE:
            scored.append((ran, sign * float(trial.value or 0.0), 0.0))
        elif trial.state is TrialState.PRUNED and trial.value is not None:
            end = ends.get(trial.number, Estimate(float(trial.value), 0.0))
            scored.append((ran, sign * end.value, end.sd))
        if ran is not trial.params and trial.state is not TrialState.RUNNING:
            failed.append(trial.params)  # what was proposed did not run
    return History(
        cube.points([params for params, _, _ in scored]),
        np.array([value for _, value, _ in scored]),
        np.array([doubt for _, _, doubt in scored]),
        cube.points(running),
        cube.points(failed),
    )


def _infeasible(trial: FrozenTrial) -> bool:
    constraints = [v for k, v in trial.system_attrs.items() if k.startswith("constraints:")]
    return bool(trial.user_attrs.get(INFEASIBLE)) or any(value > 0 for value in constraints)


def _ran(space: SearchSpace, trial: FrozenTrial) -> Mapping[str, Any]:
    """The trial's params, with what was changed to make it run."""
    changed = trial.user_attrs.get(CHANGED) or {}
    found = {}
    for parameter in space.parameters:
        if parameter.path in changed and parameter.name in trial.params:
            value = changed[parameter.path]
            known = parameter.choices is None or value in parameter.choices
            found[parameter.name] = parameter.encode(value) if known and parameter.parent is None else None
    found = {name: code for name, code in found.items() if code is not None}
    return {**trial.params, **found} if found else trial.params


def _ends(trials: Sequence[FrozenTrial], maximize: bool) -> Mapping[int, Estimate]:
    """Where trials that were stopped early would have ended, by their numbers."""
    finished = [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None]
    if not finished or not any(trial.state is TrialState.PRUNED for trial in trials):
        return {}
    epochs = 1 + max(max(trial.intermediate_values, default=0) for trial in finished)
    better, worse = (max, min) if maximize else (min, max)
    best = better(float(trial.value or 0.0) for trial in finished)
    found = curves.outcomes(trials, epochs, maximize)
    return {number: Estimate(worse(end.value, best), end.sd) for number, end in found.items()}
