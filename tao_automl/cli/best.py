"""`tao-automl best`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options


@click.command("best")
@click.argument("study", required=False)
@click.option(
    "--importance",
    metavar="METHOD",
    default="ped-anova",
    show_default=True,
    help="How importances are judged: ped-anova, or fanova (needs scikit-learn)",
)
@_options.places
@_options.json_option
def command(study: str | None, importance: str, as_json: bool, **flags: Any) -> None:
    """Show the best trial and its checkpoint.

    The checkpoint is the file of the epoch with the best value of the study's metric. With enough trials it also says
    which of the searched parameters mattered.
    """
    from datetime import datetime

    from tao_automl import judgement, report
    from tao_automl.cli import _best
    from tao_automl.cli._console import Console
    from tao_automl.errors import JobError

    where = _options.where(flags)
    found = report.study(where, study, datetime.now())
    won, console = found.winner, Console()
    if won is None:
        raise JobError(
            _best.why_none(found),
            tip=f"tao-automl status {found.name} shows what it has",
            code="no-result",
        )
    judged, expected = judgement.importances(where, found.name, importance), judgement.estimate(where, found.name)
    if as_json:
        again = expected.as_dict() if expected else None
        console.document({**_best.document(found, won), "expected": again, "importances": judged.as_dict()})
        return
    parameters = _best.parameters(found, won, judged, console.width)
    console.out(*_best.summary(found, won), *_best.expected(expected))
    for part in (_best.pareto(found, console.width), parameters):
        if part:
            console.out("", *part)
    console.say("", _best.next_step(found))
