"""`tao-automl run`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options
from tao_automl.config import KEYS


@click.command("run", cls=_options.Sectioned)
@_options.file_option
@_options.keys(KEYS)
@_options.json_option
def command(file: str | None, as_json: bool, **flags: Any) -> int:
    """Tune a model: search, train, keep the best checkpoint.

    Without data, the stand-in trainer shows the whole way on synthetic shapes: no GPU, no container.
    """
    from datetime import datetime

    from tao_automl import driver
    from tao_automl.cli import _ending, _live, _plan
    from tao_automl.cli._console import Console
    from tao_automl.report import Where

    plan = driver.prepare(_options.settings(flags, file), datetime.now())
    console = Console()
    if notice := _plan.notice(plan):
        console.say(notice, "")
    with _live.listening(console, as_json, _live.Board()) as listeners:
        outcome = driver.run(plan, listeners)
    where = Where(plan.settings["studies_dir"], plan.settings["storage"])
    return _ending.finish(console, where, plan.name, outcome, as_json=as_json)
