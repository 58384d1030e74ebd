"""The profile of a model: a study to try it with, for a user who names neither data nor classes.

It is used whole or not at all: its data never meets a user's own number of classes, nor the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl import capacity, launch, studyfile
from tao_automl.capacity import Need
from tao_automl.config import Settings, resolve
from tao_automl.errors import AutoMLError, PlatformError, UsageError
from tao_automl.execution import cache, runtimes
from tao_automl.execution.store import QUICK, Store
from tao_automl.tao.skill import Skill

FILE = "profile.yaml"
RUNTIME, STANDIN = "docker", "standin"  # what runs a profile if nobody says, and what runs where it cannot


@dataclass(frozen=True)
class Profile:
    """A profile that may be used. `lacks` says why it is not what runs; None where it is."""

    file: Path
    lacks: str | None = None


def choose(settings: Settings, skill: Skill) -> tuple[Settings, Profile | None]:
    """The settings of a new study, with the skill's profile below them where that is what runs.

    No profile where the user says anything of data or classes, or asks for the stand-in.

    Raises:
        UsageError: classes are named without data, and no runtime; or there is no such runtime.
        PlatformError: a runtime is named, and the profile's data or GPUs cannot be reached from here.
        ConfigError: the profile is damaged.
    """
    if launch.data_is_named(skill, settings) or settings["runtime"] == STANDIN:
        return settings, None
    if launch.classes_are_named(skill, settings):
        _refuse_classes_alone(settings)
        return settings, None
    file = skill.folder / FILE
    if not file.is_file():
        return settings, None
    asked = _below(settings, resolve([studyfile.read(file)]), f"profile of {skill.model}")
    lacks = _lacks(asked, cluster_is_open=settings["address"] is not None and not settings["runtime"])
    if lacks is None:
        return asked, Profile(file)
    if settings["runtime"]:
        raise PlatformError(
            f"no data is named, and the profile of {skill.model} cannot be used: {lacks}",
            tip="--train-data DIR and --val-data DIR; or --runtime standin, the embedded trainer with data of its own",
            code="profile-unreachable",
        )
    return settings, Profile(file, lacks)


def _refuse_classes_alone(settings: Settings) -> None:
    """A number of classes is one of somebody's data: the stand-in's own is only taken for it if asked for."""
    if not settings["runtime"]:
        raise UsageError(
            "a number of classes is named, but no data",
            tip="--train-data DIR and --val-data DIR; or leave the classes out and see the embedded trainer",
            code="data-missing",
        )


def _below(settings: Settings, profile: Settings, origin: str) -> Settings:
    """The profile's values where the user has none; of a mapping, by entry."""
    values: dict[str, Any] = {
        name: {**value, **settings[name]} if isinstance(value, dict) else value
        for name, value in profile.values.items()
        if profile.named(name) and (isinstance(value, dict) or not settings.named(name))
    }
    if not settings["runtime"]:
        values["runtime"] = RUNTIME
    return settings.with_values(origin, **values)


def _lacks(asked: Settings, *, cluster_is_open: bool) -> str | None:
    """What keeps a study of these settings from running, as far as this machine can say."""
    if cluster_is_open:
        return "nothing says which runtime the cluster has"
    runtime = runtimes.by_name(asked["runtime"])
    try:
        if asked["address"] is None:
            need = Need(asked["gpus"] or 0, asked["nodes"], in_containers=False)
            capacity.check_room(need, capacity.gpus_here(asked) if need.gpus else None)
            if not (probe := runtime.probe()).ok:
                return probe.detail
        store = Store(QUICK)
        for url in (*asked["train_data"], *asked["val_data"]):
            cache.look(store, f"{url}/")
    except AutoMLError as error:
        return error.message
    return None
