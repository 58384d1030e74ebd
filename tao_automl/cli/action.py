"""`tao-automl action`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options
from tao_automl.config import KEYS

if TYPE_CHECKING:
    from rich.text import Text

    from tao_automl.action import Done
    from tao_automl.actionplan import Prepared
    from tao_automl.plan import Plan


@click.command("action")
@click.argument("name", metavar="NAME")
@click.argument("study", required=False, metavar="STUDY[/TRIAL]")
@_options.keys(["set"])
@_options.keys(["train_data", "val_data"])
@click.option("--inference-data", metavar="DIR", multiple=True, help="Images to run inference on [default: --val-data]")
@click.option("--calibration-data", metavar="DIR", multiple=True, help="Images to calibrate on [default: --train-data]")
@click.option("--after", metavar="RUN", help="What an earlier action made: its name, or a run such as export-002")
@click.option("--checkpoint", metavar="FILE", help="A file or address instead of the winner's; 'latest': its newest")
@click.option("--image", metavar="IMAGE", help="Container image of this action, instead of the model's")
@_options.places
@_options.json_option
def command(
    name: str,
    study: str | None,
    after: str | None,
    checkpoint: str | None,
    image: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Run a downstream action on the best checkpoint.

    NAME is what the model declares, such as evaluate or export; `tao-automl models` lists them. The spec
    gets the winner's structure, its checkpoint and the study's data; --set changes any other key. An action
    that needs what another one makes, as an engine needs an exported file, takes the newest of that trial.
    """
    import shlex

    from tao_automl import action, driver, report
    from tao_automl.actionplan import Asked
    from tao_automl.cli import _plan, _words
    from tao_automl.cli._console import Console

    study_name, trial = _options.study_and_trial(study)
    where = _options.where(flags)
    found = report.name_of(where, study_name)
    changes = {"storage": where.storage_url}
    plan = driver.plan_of(found, where.studies_dir, changes)
    given = KEYS["set"].read(flags["set"]) if flags["set"] else {}
    prepared = action.claim(plan, Asked(name, trial, given, _file(checkpoint), after, image, _data(flags)))
    console = Console()
    if not as_json:
        runs = shlex.join(_plan.command(prepared.job))
        console.say(f"{name} of {_started_from(prepared)}: {runs}")
        for key, path in prepared.renamed.items():
            console.say(f"{key} is there already, the new one is {_words.path(path)}")
    done = action.run(plan, prepared)
    if as_json:
        console.document(done.as_dict())
    else:
        console.out(*_lines(done, plan, name))


def _file(text: str | None) -> str | None:
    from tao_automl import parents
    from tao_automl.tao import remote

    return text if text in (None, parents.LATEST) or remote.is_remote(text) else str(Path(text).absolute())


def _data(flags: Mapping[str, Any]) -> dict[str, list[Path | str]]:
    """The folders and addresses that are named for this action, by TAO's word for what they are for."""
    words = {
        "train_data": "train_datasets",
        "val_data": "eval_dataset",
        "inference_data": "inference_dataset",
        "calibration_data": "calibration_dataset",
    }
    return {word: KEYS["train_data"].read(flags[name]) for name, word in words.items() if flags[name]}


def _started_from(prepared: Prepared) -> str:
    """Trial and epoch, or the run or file that was named instead."""
    parent, won = prepared.parent, prepared.won
    if parent is not None and parent.run is not None:
        return f"{parent.run.name}, trial {won.trial}"
    if parent is not None and parent.epoch is None:
        return f"{parent.file.name}, as trial {won.trial}"
    return f"trial {won.trial}, epoch {parent.epoch if parent else won.epoch}"


def _lines(done: Done, plan: Plan, name: str) -> list[str | Text]:
    from tao_automl.cli import _words
    from tao_automl.cli._tables import facts

    won, parent = done.prepared.won, done.prepared.parent
    time = f" in {_words.duration(done.duration_s)}" if done.duration_s is not None else ""
    pairs: list[tuple[str, str | None]] = [("Folder", _words.path(done.prepared.paths.folder))]
    made = {**done.run.outputs, **({"Model": done.run.model} if done.run.model else {})}
    pairs += [(key, f"{_words.path(path)} ({_words.size(path.stat().st_size)})") for key, path in made.items()]
    measured = plan.metric.evaluated(done.metrics)
    pairs += [
        (key, _words.metric(value) if isinstance(value, float) else str(value)) for key, value in done.metrics.items()
    ]
    out: list[str | Text] = [f"{name} done{time}", "", *facts(pairs)]
    if measured is not None and parent is not None and parent.file == won.checkpoint:
        out += ["", f"In training, epoch {won.epoch} had {won.metric} {_words.metric(won.value)}"]
    if followers := _takes(done, plan):
        out += ["", f"Next: tao-automl action {followers[0]} {won.study}/{won.trial}"]
    return out


def _takes(done: Done, plan: Plan) -> list[str]:
    """The actions that start from what this one has made."""
    from tao_automl import parents
    from tao_automl.runs import leaf_of

    leaves = {leaf_of(key) for key in done.run.outputs}
    return [
        action.name
        for action in plan.skill.actions.values()
        if leaves.intersection(map(leaf_of, parents.model_keys(action))) and action.name != done.run.action
    ]
