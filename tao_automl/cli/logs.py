"""`tao-automl logs`."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options

if TYPE_CHECKING:
    from tao_automl.cli._console import Console
    from tao_automl.cli._log import LogReader
    from tao_automl.report import Trial, Where

POLL_S = 0.3


@click.command("logs")
@click.argument("trial", metavar="STUDY/TRIAL")
@click.option("-f", "--follow", is_flag=True, help="Go on until the trial ends")
@click.option("--tail", type=int, metavar="N", help="Only the last N lines")
@_options.places
def command(trial: str, follow: bool, tail: int | None, **flags: Any) -> None:
    """Print or follow a trial's log.

    Of the attempt that counts; each step of a progress bar is a line.
    """
    from tao_automl import report
    from tao_automl.cli._console import Console
    from tao_automl.cli._log import LogReader
    from tao_automl.errors import UsageError

    name, number = _options.study_and_trial(trial)
    if number is None:
        raise UsageError(f"'{trial}' names no trial", tip=f"write it as {trial}/0")
    if tail is not None and tail < 1:
        raise UsageError(f"--tail: {tail} is below 1")
    where = _options.where(flags)
    found = report.study(where, name, datetime.now()).trial(number)
    if not found.files.log.exists() and not (follow and not found.is_finished):
        raise UsageError(
            f"trial {number} of study '{found.study}' has no log: {found.files.log} is missing",
            tip=f"tao-automl show {found.study}/{number}",
        )
    reader, console = LogReader(found.files.log), Console()
    lines = reader.read()
    console.out(*lines[-tail if tail else 0 :])
    if follow:
        _follow(console, reader, where, found)
    console.out(*reader.rest())


def _follow(console: Console, reader: LogReader, where: Where, trial: Trial) -> None:
    from tao_automl import report

    while not trial.is_finished:
        console.out(*reader.read())
        time.sleep(POLL_S)
        trial = report.study(where, trial.study, datetime.now()).trial(trial.number)
    console.out(*reader.read())
