"""`tao-automl skills`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options

if TYPE_CHECKING:
    from rich.text import Text

    from tao_automl.soundness import Report

UNSOUND = 1


@click.group("skills", no_args_is_help=True)
def command() -> None:
    """Check that skill folders are sound."""


@command.command("check")
@_options.keys(("skill_dir",))
@_options.json_option
def check(as_json: bool, **flags: Any) -> int:
    """Check every skill folder: files, keys, search space.

    Schemas and templates are read and compared, every key that automl.yaml and skill_info.yaml name is looked up,
    and the search space is built. It starts nothing. Without a folder, those that come with tao-automl are
    checked. The exit code is 1 if one is not sound.
    """
    from tao_automl import soundness
    from tao_automl.cli import _words
    from tao_automl.cli._console import Console
    from tao_automl.errors import UsageError
    from tao_automl.layout import skills_dir
    from tao_automl.tao.bank import Bank
    from tao_automl.tao.skill import INFO

    roots = _options.settings(flags, None)["skill_dir"] or [skills_dir()]
    bank = Bank.of(*roots, lenders=[skills_dir()])
    if not bank.folders:
        where = " and ".join(map(str, roots))
        raise UsageError(f"no skill in {where}", tip=f"a skill is a folder with {INFO}", code="no-skill")
    reports = [soundness.check(folder, bank.load) for folder in bank.folders.values()]
    unsound = [report for report in reports if report.problems]
    console = Console()
    if as_json:
        console.document({"schema": 1, "sound": not unsound, "skills": [report.as_dict() for report in reports]})
        return UNSOUND if unsound else 0
    console.out(*_table(reports, console.width))
    for report in reports:
        for name, why in report.absent:
            console.say(f"{report.folder.name}: {name} has no files: {why}")
    for report in unsound:
        console.out("", str(report.folder), *(f"  {problem}" for problem in report.problems))
    count = sum(len(report.problems) for report in unsound)
    said = f"{_words.count(count, 'problem')} in {_words.count(len(unsound), 'skill')}" if unsound else "all sound"
    console.say("", f"{_words.count(len(reports), 'skill')}, {said}")
    return UNSOUND if unsound else 0


def _table(reports: list[Report], width: int) -> list[Text]:
    from tao_automl.cli._tables import Column, Table

    columns = [
        Column("SKILL"),
        Column("ACTIONS", right=True),
        Column("SEARCHED", right=True),
        Column("STATE", elastic=True),
    ]
    rows = []
    for report in reports:
        searched = f"{report.searched} of {report.tunable}" if report.searched is not None else ""
        state = f"{len(report.problems)} not right" if report.problems else "sound"
        rows.append([report.folder.name, str(len(report.actions)) if report.actions else "", searched, state])
    return Table(columns, rows).lines(width)
