"""`tao-automl space`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options

NAMES = ("skill_dir", "set", "search", "keep", "epochs", "gpus", "num_classes", "automl_policy")


@click.command("space", cls=_options.Sectioned)
@click.argument("model")
@_options.file_option
@_options.keys(NAMES)
@_options.json_option
def command(model: str, file: str | None, as_json: bool, **flags: Any) -> None:
    """Show a model's search space, and where each range is from.

    It takes the options of run that change the space, so that a range can be tried before it is used.
    """
    from tao_automl import launch
    from tao_automl import plan as plans
    from tao_automl.cli import _plan, _space, _words
    from tao_automl.cli._console import Console
    from tao_automl.tao.dataset import Data

    settings = _options.settings({**flags, "model": model}, file)
    skill = plans.find_skill(settings)
    launched = launch.training(skill, settings, Data(), with_data=False)
    space = plans.space(skill, launched, settings, launch.epochs(skill, launched.spec), samples=None)
    console = Console()
    if as_json:
        console.document({"schema": 1, **_plan.space_document(skill.model, space.as_dict())})
        return
    searched, kept = len(space.parameters), len(space.kept)
    console.out(
        f"{skill.model} train: {_words.count(searched, 'parameter')} searched, {kept} kept at their default",
        "",
        *_space.lines(space, console.width),
    )
