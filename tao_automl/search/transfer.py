"""What earlier studies of the same model say about a new space.

Values are carried over by path, so that another range, encoding or number of epochs does not matter. How good a
trial was is its rank among the trials of its own study: the metric of other data is another scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search import points
from tao_automl.search.attributes import CHANGED, INFEASIBLE, VALUES
from tao_automl.search.overrides import Number
from tao_automl.search.parameter import Domain, Encoding, Parameter
from tao_automl.search.roles import role_of
from tao_automl.search.space import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 100  # trials of one study that are carried over: more would outvote the new study's own
_NEAR = 0.1  # of a range: how far outside a value may lie to be taken for its end
_TRIED = 3  # points tried first, at most
_SHARE = 8  # one of so many trials may be spent on them: an old study may mislead


@dataclass(frozen=True)
class Earlier:
    """The finished trials of an earlier study. `epochs` of one of its trials, None if unknown."""

    name: str
    metric: str
    direction: StudyDirection
    epochs: int | None
    trials: Sequence[FrozenTrial]

    @property
    def finished(self) -> tuple[FrozenTrial, ...]:
        """Trials that say how good their config is, the best first: the complete ones by value, then the pruned
        ones, by how far they came."""
        known = [
            trial for trial in self.trials if trial.user_attrs.get(VALUES) and not trial.user_attrs.get(INFEASIBLE)
        ]
        sign = -1.0 if self.direction == StudyDirection.MAXIMIZE else 1.0
        complete = [trial for trial in known if trial.state == TrialState.COMPLETE]
        pruned = [trial for trial in known if trial.state == TrialState.PRUNED and trial.intermediate_values]
        complete.sort(key=lambda trial: (sign * float(trial.value or 0.0), trial.number))
        pruned.sort(key=lambda trial: (-_last(trial)[0], sign * _last(trial)[1], trial.number))
        return (*complete, *pruned) if complete else ()


@dataclass(frozen=True)
class Carried:
    """What a space takes over of one study: `trials` are finished there, `used` of them lie in this space.

    `entries` have the form of the study attribute WARM, the best first.
    """

    name: str
    metric: str
    trials: int
    entries: tuple[Mapping[str, Any], ...]

    @property
    def used(self) -> int:
        return len(self.entries)


def carry(earlier: Earlier, space: SearchSpace, epochs: int) -> Carried:
    """The finished trials of an earlier study as points of a space, each with its quantile: 0 is the best.

    A trial with a value far outside the space is left out; one that lies a little outside is taken for the end.
    """
    finished = earlier.finished
    stretch = epochs / earlier.epochs if earlier.epochs else 1.0
    entries = []
    for rank, trial in _thinned(finished):
        params = _translated(space, {**trial.user_attrs[VALUES], **(trial.user_attrs.get(CHANGED) or {})}, stretch)
        if params is not None:
            quantile = rank / (len(finished) - 1) if len(finished) > 1 else 0.0
            source = f"{earlier.name}/{trial.number}"
            entries.append({"params": params, "quantile": round(quantile, 6), "source": source})
    return Carried(earlier.name, earlier.metric, len(finished), tuple(entries))


def best(carried: Iterable[Carried], known: Iterable[Mapping[str, Any]], trials: int) -> list[Mapping[str, Any]]:
    """The few entries that are worth trying first, the best first, none whose params are `known`.

    Args:
        trials: the budget of the new study, of which they take an eighth at most, but one.
    """
    ranked = sorted((entry for item in carried for entry in item.entries), key=lambda entry: entry["quantile"])
    found = points.distinct((entry for entry in ranked if entry["quantile"] < 0.5), known)
    return found[: max(1, min(_TRIED, trials // _SHARE))]


def _translated(space: SearchSpace, values: Mapping[str, Any], stretch: float) -> dict[str, Any] | None:
    """The params nearest to values of another study; None if they lie outside. What it did not search is taken as
    launched here."""

    def pick(parameter: Parameter, domain: Domain, parent: Number) -> Any:
        if parameter.path not in values:
            return domain.clip(parameter.encode(parameter.default, parent))
        return _nearest(parameter, domain, _stretched(parameter, values[parameter.path], stretch), parent)

    try:
        return space.params(pick)
    except points.OutsideError:
        return None


def _stretched(parameter: Parameter, value: Any, stretch: float) -> Any:
    """A value that counts epochs, as the same share of the epochs here."""
    if parameter.type == "list" and isinstance(value, list) and parameter.origin.endswith("within the epochs"):
        return [max(1, round(item * stretch)) for item in value]
    counts = parameter.type == "int" and role_of(parameter.path, whole=True).name == "epochs of a schedule"
    return max(1, round(value * stretch)) if counts and isinstance(value, (int, float)) else value


def _nearest(parameter: Parameter, domain: Domain, value: Any, parent: Number) -> Any:
    if parameter.choices is not None and parameter.type in ("int", "float", "list"):
        return _nearest_choice(parameter, domain, value)
    if parameter.choices is not None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return points.code_of(parameter, domain, value, parent)
    low, high = points.span(parameter, domain, parent)
    inside = min(max(value, low), high)
    off_switch = parameter.encoding is Encoding.SWITCH and value == 0
    if value != inside and not off_switch:
        if parameter.log and value > 0:
            off, width = abs(math.log(value / inside)), math.log(high / low) if high > low else 0.0
        else:
            off, width = abs(value - inside), high - low
        if off > _NEAR * width:
            raise points.OutsideError
        value = inside
    code = parameter.encode(round(value) if parameter.type == "int" else float(value), parent)
    return domain.clip(code)


def _nearest_choice(parameter: Parameter, domain: Domain, value: Any) -> Any:
    """The nearest of ordered choices, if the value does not lie beyond their ends."""
    assert parameter.choices is not None
    items = value if isinstance(value, list) else [value]
    options = [(choice, choice if isinstance(choice, list) else [choice]) for choice in parameter.choices]
    options = [(choice, parts) for choice, parts in options if len(parts) == len(items)]
    if not options or not all(isinstance(item, (int, float)) for item in items):
        raise points.OutsideError
    if not min(max(parts) for _, parts in options) <= max(items) <= max(max(parts) for _, parts in options):
        raise points.OutsideError
    nearest = min(options, key=lambda option: sum(abs(a - b) for a, b in zip(option[1], items, strict=True)))[0]
    return domain.clip(parameter.encode(nearest))


def _thinned(finished: Sequence[FrozenTrial]) -> list[tuple[int, FrozenTrial]]:
    """Rank and trial, evenly thinned out where there are very many."""
    count = len(finished)
    ranks = range(count) if count <= _MOST else [round(i * (count - 1) / (_MOST - 1)) for i in range(_MOST)]
    return [(rank, finished[rank]) for rank in ranks]


def _last(trial: FrozenTrial) -> tuple[int, float]:
    """The last epoch that was reported, and its value."""
    epoch = max(trial.intermediate_values)
    return epoch, trial.intermediate_values[epoch]
