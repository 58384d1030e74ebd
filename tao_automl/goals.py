"""What a study is for: its metric, its further objectives, and what trials must keep to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tao_automl import launch
from tao_automl.config import Settings
from tao_automl.errors import UsageError, near
from tao_automl.search import algorithms
from tao_automl.tao import objective
from tao_automl.tao.metric import Metric
from tao_automl.tao.objective import Constraint
from tao_automl.tao.skill import Skill

ORIGIN = "engine: several metrics"


@dataclass(frozen=True)
class Goals:
    """`metric` chooses the winner. `limits` are constraints, each with the metric that it speaks of."""

    metric: Metric
    others: tuple[Metric, ...] = ()
    limits: tuple[tuple[Constraint, Metric], ...] = ()

    @property
    def objectives(self) -> tuple[Metric, ...]:
        return (self.metric, *self.others)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return tuple(constraint for constraint, _ in self.limits)

    @property
    def measured(self) -> tuple[Metric, ...]:
        """What has to be known of a trial beside its metric."""
        found = {metric.name: metric for metric in (*self.others, *(metric for _, metric in self.limits))}
        return tuple(found.values())


def of(chosen: Skill, settings: Settings, launched: Mapping[str, Any]) -> Goals:
    """The goals that the settings name, for a launched spec.

    Raises:
        UsageError: the trainer reports no such metric, or not with this spec; or the target is out of reach.
    """
    scored = settings["eval_action"]
    if scored is not None and scored not in chosen.actions:
        raise UsageError(
            f"--eval-action: model '{chosen.model}' has no action '{scored}'", near(scored, chosen.actions)
        )
    metric, *others = launch.metrics_of(chosen, settings)
    for item in (metric, *others):
        launch.check_metric(chosen, item, launched)
    objective.check_target(metric, settings["target"])
    if settings["confirm"] and chosen.facts.keys.seed is None:
        raise UsageError(
            f"--confirm: nothing says where the spec of model '{chosen.model}' has its seed",
            tip="write the line `keys: {seed: KEY}` into its automl.yaml",
        )
    return Goals(
        metric, tuple(others), objective.limits(chosen.facts, settings["constraint"], scored=scored is not None)
    )


def adapted(settings: Settings, goals: Goals) -> Settings:
    """The settings that such a study runs with: with several objectives nobody can say which of two curves is worse.

    Raises:
        UsageError: a pruner is named, or an algorithm that follows one objective.
    """
    if not goals.others:
        return settings
    if settings.named("pruner") and settings["pruner"] != "none":
        raise UsageError(f"--pruner {settings['pruner']} follows one metric, and several are named", "--pruner none")
    algorithm = settings["algorithm"] if settings.named("algorithm") else "tpe"
    if not algorithms.takes_several(algorithm):
        raise UsageError(f"--algorithm {algorithm} follows one metric, and several are named", "--algorithm nsga2")
    return settings.with_values(ORIGIN, algorithm=algorithm, pruner="none")
