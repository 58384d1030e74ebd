"""Which metric a study tunes: the user's word, or what the model's facts say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tao_automl.errors import UsageError, near
from tao_automl.tao.facts import Facts
from tao_automl.tao.metric import Direction, Metric


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
    known = {alias: metric for metric in facts.metrics.values() for alias in (metric.name, *metric.aliases)}
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
