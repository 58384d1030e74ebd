"""`tao-automl resume`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options


@click.command("resume", cls=_options.Sectioned)
@click.argument("study", required=False)
@_options.keys(_options.CHANGEABLE)
@_options.json_option
def command(study: str | None, as_json: bool, **flags: Any) -> int:
    """Go on with a study that was stopped or cut off.

    Trials that still run are attached to, those that were killed start again, and the budget may be
    changed: --trials 20 means 20 in all.
    """
    from datetime import datetime

    from tao_automl import driver, report
    from tao_automl.cli import _ending, _live, _trials
    from tao_automl.cli._console import Console

    where = _options.where(flags)
    known = report.study(where, study, datetime.now())
    changes = _options.changes({**flags, "storage": where.storage_url, "studies_dir": None})
    console = Console()
    with _live.listening(console, as_json, _live.Board(_trials.rows(known))) as listeners:
        outcome = driver.resume(known.name, where.studies_dir, changes, listeners)
    return _ending.finish(console, where, known.name, outcome, as_json=as_json)
