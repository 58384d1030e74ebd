"""`tao-automl space`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options

if TYPE_CHECKING:
    from tao_automl.config import Settings
    from tao_automl.search.space import SearchSpace

NAMES = (
    "skill_dir",
    "set",
    "search",
    "keep",
    "epochs",
    "gpus",
    "num_classes",
    "automl_policy",
    "studies_dir",
    "storage",
)


@click.command("space", cls=_options.Sectioned)
@click.argument("model", metavar="MODEL|STUDY")
@_options.file_option
@_options.keys(NAMES)
@_options.json_option
def command(model: str, file: str | None, as_json: bool, **flags: Any) -> None:
    """Show a model's search space, and where each range is from.

    Of a model it takes the options of run that change the space, so that a range can be tried before it is used.
    Of a study it shows what the study searches now, with the ranges that it has widened.
    """
    from tao_automl.cli import _plan, _space, _words
    from tao_automl.cli._console import Console

    settings = _options.settings({**flags, "model": model}, file)
    name, title, space = _of_study(settings, model, flags, file) or _of_model(settings)
    console = Console()
    if as_json:
        console.document({"schema": 1, **_plan.space_document(name, space.as_dict())})
        return
    searched, kept = len(space.parameters), len(space.kept)
    console.out(
        f"{title}: {_words.count(searched, 'parameter')} searched, {kept} kept at their default",
        "",
        *_space.lines(space, console.width),
    )


def _of_model(settings: Settings) -> tuple[str, str, SearchSpace]:
    from tao_automl import launch
    from tao_automl import plan as plans
    from tao_automl.tao.dataset import Data

    skill = plans.find_skill(settings)
    launched = launch.training(skill, settings, Data(), with_data=False)
    space = plans.space(skill, launched, settings, launch.epochs(skill, launched.spec), samples=None)
    return skill.model, f"{skill.model} train", space


def _of_study(
    settings: Settings, name: str, flags: Mapping[str, Any], file: str | None
) -> tuple[str, str, SearchSpace] | None:
    """None where no study of this name has a record."""
    from datetime import datetime

    from tao_automl import driver, report
    from tao_automl.errors import UsageError
    from tao_automl.layout import StudiesPaths
    from tao_automl.report import Where
    from tao_automl.search import widening

    folder = settings["studies_dir"]
    if "/" in name or not StudiesPaths(folder).study(name).study_file.exists():
        return None
    changing = [key for key in NAMES if key not in _options.PLACES and flags[key] not in (None, ())]
    if changing or file:
        raise UsageError(
            f"the space of study '{name}' is fixed", "leave the other options out, or name a model", "study-fixed"
        )
    plan = driver.plan_of(name, folder, {"storage": settings["storage"]})
    study = report.study(Where(folder, plan.settings["storage"]), name, datetime.now())
    return plan.skill.model, f"study {name} of {plan.skill.model}", widening.widened(plan.space, study.widened)
