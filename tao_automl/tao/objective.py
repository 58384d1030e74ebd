"""Which metrics a study tunes: the user's words, or what the model's facts say; and what trials must keep to."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tao_automl.errors import UsageError, near
from tao_automl.tao.facts import Facts
from tao_automl.tao.metric import Direction, Metric

TRAIN_TIME = Metric("train_time_s", Direction.MINIMIZE, low=0)
OWN: Mapping[str, Metric] = {TRAIN_TIME.name: TRAIN_TIME}  # what the engine measures itself
_WITH_DIRECTION = re.compile(r"(?P<name>.+):(?P<direction>maximize|minimize)")
_CONSTRAINT = re.compile(r"\s*(?P<name>[^<>=\s]+)\s*(?P<op><=|>=)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True)
class Constraint:
    """What a measured value must keep to. `at_most`: it may not be above `bound`; else not below."""

    name: str
    at_most: bool
    bound: float

    @property
    def text(self) -> str:
        return f"{self.name}{'<=' if self.at_most else '>='}{self.bound:g}"

    def violation(self, value: float) -> float:
        """How far a value is beyond the bound; 0 or below where it keeps to it."""
        return value - self.bound if self.at_most else self.bound - value


def constraint(text: str) -> Constraint:
    """Read `latency_ms<=30`.

    Raises:
        UsageError: it is not of that form.
    """
    found = _CONSTRAINT.fullmatch(text)
    try:
        bound = float(found["bound"]) if found else math.nan
    except ValueError:
        bound = math.nan
    if found is None or not math.isfinite(bound):
        raise UsageError(f"--constraint {text}: this is no constraint", tip="write it as train_time_s<=3600")
    return Constraint(found["name"], found["op"] == "<=", bound)


@dataclass(frozen=True)
class Words:
    """What a user says of objectives. `scored`: an action's metrics count too, which no facts list."""

    names: Sequence[str]
    direction: str | None = None
    scored: bool = False


def choose_all(facts: Facts, asked: Words, lines: Path) -> tuple[Metric, ...]:
    """The objectives of a study, the first one first; each may be written as NAME:DIRECTION.

    The others may also be what the engine measures itself.

    Raises:
        UsageError: as `choose`; one is named twice; the first is no metric of the trainer's; several are named, and
            `direction`.
    """
    names, direction = asked.names, asked.direction
    if len(names) > 1 and direction is not None:
        raise UsageError(
            "--direction is of one metric, and several are named", tip=f"--metric {names[0]}:{direction}, and so on"
        )
    if not names:
        return (choose(facts, None, direction, lines),)
    first, *others = [_with_direction(name, direction) for name in names]
    chosen = [choose(facts, *first, lines)]
    for name, way in others:
        known = _measured(facts, name, asked.scored)
        metric = known if known and (way or known.name in OWN or known in facts.metrics.values()) else None
        metric = metric or choose(facts, name, way, lines)
        chosen.append(replace(metric, direction=Direction(way)) if way else metric)
    for place, metric in enumerate(chosen):
        if metric.name in [item.name for item in chosen[:place]]:
            raise UsageError(f"--metric {metric.name} is named twice")
    return tuple(chosen)


def limits(facts: Facts, texts: Sequence[str], *, scored: bool) -> tuple[tuple[Constraint, Metric], ...]:
    """Constraints, each with the metric that it speaks of.

    Raises:
        UsageError: one is not of the form `train_time_s<=3600`, or of what nobody measures.
    """
    found = []
    for text in texts:
        item = constraint(text)
        metric = _measured(facts, item.name, scored)
        if metric is None:
            known = [*_names(facts), *OWN]
            raise UsageError(
                f"--constraint {text}: nothing measures '{item.name}'",
                tip=near(item.name, known) or "--eval-action evaluate measures what the evaluate action reports",
                code="metric-unknown",
            )
        found.append((replace(item, name=metric.name), metric))
    return tuple(found)


def _with_direction(text: str, otherwise: str | None) -> tuple[str, str | None]:
    found = _WITH_DIRECTION.fullmatch(text)
    return (found["name"], found["direction"]) if found else (text, otherwise)


def _measured(facts: Facts, name: str, scored: bool) -> Metric | None:
    """Whatever has this name: of the trainer, of the engine, or of an action, whose metrics nobody has listed."""
    found = OWN.get(name) or _names(facts).get(name)
    return found or (Metric(name, Direction.MINIMIZE) if scored or not facts.listed else None)


def _names(facts: Facts) -> dict[str, Metric]:
    return {alias: metric for metric in facts.metrics.values() for alias in (metric.name, *metric.aliases)}


def check_target(metric: Metric, target: float | None) -> None:
    """Refuse a target that no value can reach, or that every value reaches: it is meant for the other direction.

    Raises:
        UsageError: the metric is known to lie on one side of it.
    """
    if target is None:
        return
    above = metric.high is not None and target > metric.high
    below = metric.low is not None and target < metric.low
    if above if metric.maximizes else below:
        end = f"above {metric.high:g}" if metric.maximizes else f"below {metric.low:g}"
        raise UsageError(
            f"--target {target:g} is out of reach: {metric.name} is never {end}",
            tip="TAO writes it as a share of one: --target 0.5 is 50 %" if metric.high == 1 else "name another value",
            code="target",
        )
    if target == (metric.low if metric.maximizes else metric.high) or below or above:
        raise UsageError(
            f"--target {target:g} is in the wrong direction: {metric.name} is {metric.direction.value}d, "
            "so every trial would reach it",
            tip="name a value that is better than what the defaults reach",
            code="target",
        )


def choose(facts: Facts, name: str | None, direction: str | None, lines: Path) -> Metric:
    """A metric with its direction; None is what the facts say.

    Args:
        lines: where the `automl.yaml` is, or would be, that can say more.

    Raises:
        UsageError: the model reports no such metric, or nothing says what it reports or which way is better.
    """
    name = name or facts.metric
    if name is None:
        raise UsageError(
            f"nothing says by which metric model '{facts.model}' is tuned",
            tip="--metric NAME --direction maximize, or write the line "
            f"`metrics: {{NAME: {{direction: maximize}}}}` into {lines}; NAME as in the kpi of status.json",
            code="metric-unknown",
        )
    known = _names(facts)
    found = known.get(name)
    if found is None and facts.listed:
        raise UsageError(f"model '{facts.model}' reports no metric '{name}'", tip=near(name, known))
    if found is None and direction is None:
        raise UsageError(
            f"nothing says which way '{name}' is better",
            tip="--direction maximize or minimize, or write the line "
            f"`metrics: {{'{name}': {{direction: maximize}}}}` into {lines}",
            code="direction-unknown",
        )
    metric = found or Metric(name, Direction(direction))
    return replace(metric, direction=Direction(direction)) if direction else metric
