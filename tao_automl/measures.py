"""What is measured of a trial beside its metric: the other objectives, and what constraints speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.tao import failure
from tao_automl.tao.failure import Diagnosis, FailureReason
from tao_automl.tao.objective import TRAIN_TIME
from tao_automl.tao.status import Kpi, Progress


def kpi(progress: Progress, epoch: int) -> Kpi:
    """All that a training reported of an epoch."""
    return {**progress.trained.get(epoch, {}), **progress.points.get(epoch, {})}


def of(plan: Plan, found: Mapping[str, Any], training: Kpi, score: Kpi | None = None) -> dict[str, float | None]:
    """Values by name; None for what nobody has reported.

    Args:
        found: what is stored of the trial, by the names of `attributes`.
        training: what its training reported of its best epoch.
        score: what its evaluate action reported, if it had one. That counts before the training's word.
    """
    values: dict[str, float | None] = {}
    for metric in plan.goals.measured:
        if metric.name == TRAIN_TIME.name:
            values[metric.name] = found.get(attributes.TRAINER_TIME_S)
            continue
        scored = metric.evaluated(score)
        values[metric.name] = scored if scored is not None else metric.value(training)
    return values


def facts(plan: Plan, values: Mapping[str, float]) -> dict[str, Any]:
    """What is stored of them: the values, and which constraints they break."""
    broken = [item.text for item in plan.goals.constraints if item.violation(values[item.name]) > 0]
    return {
        **({attributes.MEASURED: dict(values)} if values else {}),
        **({attributes.BROKEN: broken} if broken else {}),
    }


def violations(plan: Plan, measured: Mapping[str, float]) -> dict[str, float]:
    """How far each constraint is broken, by its text; 0 or below where it is kept."""
    return {item.text: item.violation(measured[item.name]) for item in plan.goals.constraints}


def told(plan: Plan, found: Mapping[str, Any]) -> float | list[float] | None:
    """What a study is told of a trial: its value, or of several objectives one value each."""
    value: float | None = found.get(attributes.BEST_VALUE)
    if not plan.goals.others or value is None:
        return value
    return [value, *(found[attributes.MEASURED][metric.name] for metric in plan.goals.others)]


def lacking(names: list[str], *seen: Kpi | None) -> Diagnosis:
    """Why a trial that ran to its end cannot be compared with the others."""
    reported = sorted({name for kpi in seen for name in kpi or ()})
    listed = f"; reported were {', '.join(reported)}" if reported else ""
    return failure.diagnosis(FailureReason.NO_METRIC, f"nothing reported {', '.join(names)}{listed}")
