"""`tao-automl report`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options


@click.command("report")
@click.argument("study", required=False)
@click.option("-o", "--output", metavar="FILE", help="Where to write it (default: report.html in the study's folder)")
@_options.places
def command(study: str | None, output: str | None, **flags: Any) -> None:
    """Write a page about a study: curves, importances, Pareto set.

    One HTML file that needs nothing else. It may be written while the study runs.
    """
    from datetime import datetime
    from pathlib import Path

    from tao_automl import judgement, page, report
    from tao_automl.cli import _words
    from tao_automl.cli._console import Console
    from tao_automl.errors import UsageError

    where = _options.where(flags)
    found = report.study(where, study, datetime.now())
    text = page.html(found, judgement.importances(where, found.name), judgement.estimate(where, found.name))
    file = Path(output) if output else found.paths.report
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", tip="-o FILE names another place") from None
    Console().out(_words.path(file.absolute()))
