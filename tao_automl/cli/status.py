"""`tao-automl status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options

if TYPE_CHECKING:
    from datetime import datetime

    from rich.text import Text

    from tao_automl.cli._console import Console
    from tao_automl.report import Study

SHOWN = 100  # trials: what is longer nobody reads on a terminal


@click.command("status")
@click.argument("study", required=False)
@_options.places
@_options.json_option
def command(study: str | None, as_json: bool, **flags: Any) -> None:
    """Show the studies, or the trials of one.

    It only reads the storage, so it works while a study runs and when all but studies.db is gone.
    """
    from datetime import datetime

    from tao_automl import report
    from tao_automl.cli._console import Console

    where, now, console = _options.where(flags), datetime.now(), Console()
    if study is not None:
        found = report.study(where, study, now)
        if as_json:
            trials = [trial.as_dict() for trial in found.trials]
            console.document({"schema": 1, **found.as_dict(), "trials": trials})
        else:
            console.out(*_one(found, console))
        return
    known = report.studies(where, now)
    if as_json:
        console.document({"schema": 1, "studies": [item.as_dict() for item in known]})
    elif known:
        console.out(*_all(known, now, console))
    else:
        console.say(f"no studies in {where.studies_dir} yet", "  tip: tao-automl run --help shows how to start one")


def _all(known: Sequence[Study], now: datetime, console: Console) -> list[Text]:
    from tao_automl.cli import _words
    from tao_automl.cli._tables import Column, Table

    columns = [
        Column("STUDY"),
        Column("MODEL"),
        Column("STATE"),
        Column("TRIALS", right=True),
        Column("BEST", right=True),
        Column("METRIC"),
        Column("STARTED", right=True),
        Column("DRIVEN BY", elastic=True),
    ]
    rows = [
        [
            item.name,
            item.model,
            item.state,
            f"{item.finished}/{item.budget_trials}" if item.budget_trials else str(item.finished),
            _words.metric(item.winner.value) if item.winner else "",
            f"{item.metric.direction.value[:3]} {item.metric.name}",
            _words.ago(item.started_at, now),
            item.driver,
        ]
        for item in known
    ]
    return Table(columns, rows).lines(console.width)


def _one(study: Study, console: Console) -> list[str | Text]:
    from tao_automl.cli import _best, _trials, _words

    rows = _trials.rows(study)
    params = _words.most_varied([row.params for row in rows])
    driven = f", driven by {study.driver}" if study.driver else ""
    out: list[str | Text] = [
        f"{study.name}: {study.state}{driven}; {_best.goal(study)}; {_trials.counts(study.counts)}"
    ]
    if study.ended and not study.driver:
        out.append(f"Ended: {study.ended}")
    if rows:
        shown = _trials.foremost(rows, SHOWN)
        table = _trials.table(shown, study.metric.name, params, unicode=console.unicode)
        out += ["", *table.lines(console.width)]
        if len(shown) < len(rows):
            out += [f"{len(rows) - len(shown)} earlier trials are left out; --json has all"]
    if study.widened:
        out += ["", *(f"the {end['side']} end of {end['path']} is now {end['to']:g}" for end in study.widened)]
    if study.winner is not None:
        out += ["", *_best.summary(study, study.winner)]
    if study.pareto:
        out += ["", *_best.pareto(study, console.width)]
    if study.state == "stopped":
        out += ["", f"Next: tao-automl resume {study.name}"]
    elif study.winner is not None and study.state == "finished":
        out += ["", _best.next_step(study)]
    return out
