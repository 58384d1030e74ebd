"""Which metric a study tunes: the user's word, or what the model's facts say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tao_automl.errors import UsageError, near
from tao_automl.tao.facts import Facts
from tao_automl.tao.metric import Direction, Metric


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
