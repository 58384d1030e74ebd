"""`tao-automl action`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options
from tao_automl.config import KEYS

if TYPE_CHECKING:
    from rich.text import Text

    from tao_automl.action import Done
    from tao_automl.plan import Plan


@click.command("action")
@click.argument("name", metavar="NAME")
@click.argument("study", required=False, metavar="STUDY[/TRIAL]")
@_options.keys(["set"])
@click.option("--checkpoint", metavar="FILE", help="A checkpoint instead of the winner's")
@_options.places
@_options.json_option
def command(name: str, study: str | None, checkpoint: str | None, as_json: bool, **flags: Any) -> None:
    """Run a downstream action on the best checkpoint.

    NAME is what the model declares, such as evaluate or export; `tao-automl models` lists them. The spec
    gets the winner's structure, its checkpoint and the study's data; --set changes any other key.
    """
    import shlex

    from tao_automl import action, driver, report
    from tao_automl.cli import _plan
    from tao_automl.cli._console import Console

    study_name, trial = _options.study_and_trial(study)
    where = _options.where(flags)
    found = report.name_of(where, study_name)
    changes = {"storage": where.storage_url}
    plan = driver.plan_of(found, where.studies_dir, changes)
    given = KEYS["set"].read(flags["set"]) if flags["set"] else {}
    won = action.winner_of(plan, trial)
    prepared = action.prepare(plan, name, won, given, Path(checkpoint).absolute() if checkpoint else None)
    console = Console()
    if not as_json:
        runs = shlex.join(_plan.command(prepared.job))
        console.say(f"{name} of trial {won.trial}, epoch {won.epoch}: {runs}")
    done = action.run(plan, prepared)
    if as_json:
        console.document(done.as_dict())
    else:
        console.out(*_lines(done, plan, name))


def _lines(done: Done, plan: Plan, name: str) -> list[str | Text]:
    from tao_automl.cli import _words
    from tao_automl.cli._tables import facts

    won = done.prepared.won
    time = f" in {_words.duration(done.duration_s)}" if done.duration_s is not None else ""
    pairs: list[tuple[str, str | None]] = [("Folder", _words.path(done.prepared.paths.folder))]
    for key, text in done.outputs.items():
        path = Path(text)
        size = f" ({_words.size(path.stat().st_size)})" if path.is_file() else ""
        pairs.append((key, f"{_words.path(path)}{size}"))
    measured = plan.metric.evaluated(done.metrics)
    pairs += [
        (key, _words.metric(value) if isinstance(value, float) else str(value)) for key, value in done.metrics.items()
    ]
    out: list[str | Text] = [f"{name} done{time}", "", *facts(pairs)]
    if measured is not None:
        out += ["", f"In training, epoch {won.epoch} had {won.metric} {_words.metric(won.value)}"]
    return out
