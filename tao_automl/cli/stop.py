"""`tao-automl stop`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options


@click.command("stop")
@click.argument("study", required=False)
@click.option("--now", "at_once", is_flag=True, help="Kill the active trials; resume starts them again")
@_options.places
@_options.json_option
def command(study: str | None, at_once: bool, as_json: bool, **flags: Any) -> None:
    """Stop a study: let running trials finish, or kill them.

    The wish is left in the study's storage, where its driver finds it, also on another machine.
    """
    from datetime import datetime

    from tao_automl import driver, report
    from tao_automl.cli import _words
    from tao_automl.cli._console import Console

    where = _options.where(flags)
    known = report.study(where, study, datetime.now())
    asked = driver.request_stop(known.name, where.studies_dir, where.storage_url, at_once=at_once)
    active = known.counts.get("RUNNING", 0)
    console = Console()
    if as_json:
        console.document({"schema": 1, "study": known.name, "asked": asked, "now": at_once, "active": active})
    elif not asked:
        console.out(f"{known.name}: nothing drives it, so there is nothing to stop")
        if active:
            console.say(f"Next: tao-automl resume {known.name}")
    elif at_once:
        console.out(f"{known.name}: {_words.count(active, 'active trial')} will be killed; 'resume' starts them again")
    else:
        console.out(f"{known.name}: no new trials; {_words.count(active, 'active one')} will finish")
        console.say(f"To kill them: tao-automl stop {known.name} --now")
