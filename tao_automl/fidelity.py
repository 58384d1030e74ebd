"""What a study's schedule must know of it: how long trainings are, how many there are, and whether they can go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tao_automl import launch
from tao_automl.config import Settings
from tao_automl.launch import Launch
from tao_automl.search import algorithms
from tao_automl.search.algorithms import Schedule
from tao_automl.search.rungs import Terms, default_min_epochs
from tao_automl.search.space import SearchSpace
from tao_automl.tao import lrschedule
from tao_automl.tao.metric import Metric
from tao_automl.tao.skill import Skill

PBT_STEPS = 5  # generations, unless an interval is named
RESUME, WEIGHTS = ("resume_model", None), ("ptm", "pretrained_model_path")  # function and name of a key


def schedule(skill: Skill, launched: Launch, settings: Settings, space: SearchSpace, metric: Metric) -> Schedule:
    """The schedule of a study. With nothing to search there is one trial, and nothing to schedule."""
    name = algorithms.find(settings["algorithm"]).schedule if space.parameters else "none"
    epochs = launch.epochs(skill, launched.spec)
    reduction = int(settings["reduction_factor"])
    terms = Terms(
        configs=int(settings["trials"]) if space.parameters else 1,
        epochs=epochs,
        maximize=metric.maximizes,
        resumes=resumes(skill, launched.spec, space),
        min_epochs=int(settings["min_epochs"] or default_min_epochs(epochs, reduction)),
        reduction=reduction,
        interval=int(settings["pbt_interval"] or max(1, round(epochs / PBT_STEPS))),
        weights=key(skill, launched.spec, WEIGHTS) is not None,
        fixed=frozenset(
            parameter.path
            for parameter in space.parameters
            if any(launch.is_below(parameter.path, carried) for carried in skill.facts.carry)
        ),
        seed=int(settings["seed"]),
    )
    return Schedule(name, terms)


def resumes(skill: Skill, launched: Mapping[str, Any], space: SearchSpace) -> bool:
    """True if a training that is resumed is the one that was never interrupted."""
    options = {parameter.path: parameter.choices for parameter in space.parameters if parameter.choices}
    return key(skill, launched, RESUME) is not None and lrschedule.is_open_ended(launched, options)


def key(skill: Skill, launched: Mapping[str, Any], wanted: tuple[str, str | None]) -> str | None:
    """Where the train spec takes a checkpoint to start from; None if the skill names no such key."""
    return skill.actions["train"].key(*wanted, launched)
