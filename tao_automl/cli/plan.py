"""`tao-automl plan`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options
from tao_automl.config import KEYS


@click.command("plan", cls=_options.Sectioned)
@_options.file_option
@_options.keys(KEYS)
@_options.json_option
def command(file: str | None, as_json: bool, **flags: Any) -> None:
    """Show what run would do, and start nothing.

    It takes what run takes, and says of each value where it comes from.
    """
    from datetime import datetime

    from tao_automl import driver
    from tao_automl.cli import _plan
    from tao_automl.cli._console import Console

    plan = driver.prepare(_options.settings(flags, file), datetime.now())
    console = Console()
    if as_json:
        console.document(_plan.document(plan))
        return
    if notice := _plan.notice(plan):
        console.out(notice, "")
    console.out(*_plan.lines(plan, console.width), "", "Nothing was started.")
