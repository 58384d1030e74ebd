"""A range that was chosen around the launched value is widened once, where the best trials lie at its end.

It is decided from the finished trials alone and kept with the study, so that a resumed study goes on with the same
ranges. Codes stand for the same values before and after. A range never shrinks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.overrides import Number
from tao_automl.search.parameter import Parameter
from tao_automl.search.space import SearchSpace

_FIRST = 6  # complete trials before anything is decided
_AT_END = 0.1  # of a range
_LEAST = 3  # of the better half must lie there: fewer happen by chance


def decide(
    space: SearchSpace, trials: Iterable[FrozenTrial], maximize: bool, known: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The ends to move, in the form of the study attribute WIDENED: those at which at least half of the better half of
    the complete trials lie. An end that is `known` has been moved already.
    """
    complete = _ranked(trials, maximize)
    if len(complete) < _FIRST:
        return []
    better = complete[: math.ceil(len(complete) / 2)]
    moved = {(entry["path"], entry["side"]) for entry in known}
    found = []
    for parameter in space.parameters:
        codes = [trial.params[parameter.name] for trial in better if parameter.name in trial.params]
        for side, place, end in (("low", 0.0, parameter.reach[0]), ("high", 1.0, parameter.reach[1])):
            there = sum(abs(_place(parameter, code) - place) <= _AT_END for code in codes)
            if end is not None and (parameter.path, side) not in moved and there >= max(_LEAST, len(better) / 2):
                entry = {"path": parameter.path, "side": side, "to": end, "trials": len(complete)}
                found.append(entry)
    return found


def _ranked(trials: Iterable[FrozenTrial], maximize: bool) -> list[FrozenTrial]:
    """Complete trials, the best first. A config counts once, though it may have been trained further."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    complete.sort(key=lambda trial: (-float(trial.value or 0) if maximize else float(trial.value or 0), trial.number))
    best: dict[tuple[tuple[str, Any], ...], FrozenTrial] = {}
    for trial in complete:
        best.setdefault(tuple(sorted(trial.params.items())), trial)
    return list(best.values())


def widened(space: SearchSpace, entries: Iterable[Mapping[str, Any]]) -> SearchSpace:
    """The space with the ends moved that a study has decided to move."""
    ends = {(entry["path"], entry["side"]): entry for entry in entries}
    if not ends:
        return space
    return replace(space, parameters=tuple(_moved(parameter, ends) for parameter in space.parameters))


def _moved(parameter: Parameter, ends: Mapping[tuple[str, str], Mapping[str, Any]]) -> Parameter:
    for side in ("low", "high"):
        entry = ends.get((parameter.path, side))
        if entry is None:
            continue
        note = f"its {side} end was {_end(parameter, side):g} for the first {entry['trials']} trials"
        why = "; ".join(part for part in (parameter.why, note) if part)
        low, high = (entry["to"], parameter.high) if side == "low" else (parameter.low, entry["to"])
        parameter = replace(parameter, low=low, high=high, why=why)
    return parameter


def _end(parameter: Parameter, side: str) -> Number:
    end = parameter.low if side == "low" else parameter.high
    assert end is not None
    return end


def _place(parameter: Parameter, code: float) -> float:
    """Where a code lies in the range: 0 at the low end, 1 at the high one."""
    low, high = float(_end(parameter, "low")), float(_end(parameter, "high"))
    if parameter.log:
        return math.log(code / low) / math.log(high / low)
    return (code - low) / (high - low)
