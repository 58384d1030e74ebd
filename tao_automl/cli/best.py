"""`tao-automl best`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options


@click.command("best")
@click.argument("study", required=False)
@_options.places
@_options.json_option
def command(study: str | None, as_json: bool, **flags: Any) -> None:
    """Show the best trial and its checkpoint.

    The checkpoint is the file of the epoch with the best value of the study's metric.
    """
    from datetime import datetime

    from tao_automl import report
    from tao_automl.cli import _best
    from tao_automl.cli._console import Console
    from tao_automl.errors import JobError

    found = report.study(_options.where(flags), study, datetime.now())
    won, console = found.winner, Console()
    if won is None:
        raise JobError(
            f"study '{found.name}' has no result yet",
            tip=f"tao-automl status {found.name} shows what it has",
            code="no-result",
        )
    if as_json:
        console.document(won.as_dict())
        return
    parameters = _best.parameters(found, won, console.width)
    console.out(*_best.summary(found, won))
    if parameters:
        console.out("", *parameters)
    console.say("", _best.next_step(found))
