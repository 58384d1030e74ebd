"""What a downstream action starts from: a trial's checkpoint, or what an earlier action has made.

Nothing here knows actions by name. A key such as `gen_trt_engine.onnx_file`, which takes TAO's `parent_model`,
takes what another action makes at a key with the same last part, `export.onnx_file`; any other takes a
checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl import pins, runs
from tao_automl.errors import UsageError
from tao_automl.execution.job import Staged
from tao_automl.layout import AttemptPaths, StudyPaths
from tao_automl.results import Winner
from tao_automl.runs import Run, leaf_of
from tao_automl.tao import checkpoint, remote, spec
from tao_automl.tao.skill import Action, Skill

LATEST = "latest"  # said instead of a file: the trial's newest checkpoint
PARENT, RESUMED = ("parent_model", "parent_model_folder"), ("resume_model",)


@dataclass(frozen=True)
class Parent:
    """One file to start from, and the run that made it. `leaf` is the last part of the key it was made at.

    `epoch` is that of the training behind it, None where that is not known. `url` is where a file is to be brought
    from, whose name alone is known then.
    """

    file: Path
    run: Run | None = None
    leaf: str | None = None
    epoch: int | None = None
    url: str | None = None

    @property
    def place(self) -> str:
        """The file as people and specs name it."""
        return self.url or str(self.file)


@dataclass(frozen=True)
class Origin:
    """Where to look: the study's folder and trial, and what a user asks for instead of the default."""

    study: StudyPaths
    won: Winner
    checkpoint: str | None = None
    after: Run | None = None


def model_keys(action: Action) -> tuple[str, ...]:
    """The keys that take a model. Only an action without a parent goes on with a training of its own."""
    parents = [key for key, function in action.spec_params.items() if function in PARENT]
    resumed = [key for key, function in action.spec_params.items() if function in RESUMED]
    return tuple(parents or resumed)


def products(skill: Skill) -> dict[str, str]:
    """What actions are asked to make: the last part of the key, and the action."""
    return {
        leaf_of(key): action.name
        for action in skill.actions.values()
        for key, kind in action.outputs.items()
        if kind == "file"
    }


def choose(skill: Skill, action: Action, origin: Origin) -> Parent | None:
    """The file that an action starts from; None if it needs no model.

    Raises:
        UsageError: the file is gone or missing, what makes it has not been run, or the action does not take it.
    """
    keys, made = model_keys(action), products(skill)
    if not keys:
        return None
    if origin.checkpoint is not None:
        return _named(skill, origin)
    if origin.after is not None:
        return _of_run(skill, action, origin.after)
    if all(leaf_of(key) in made for key in keys):
        return _newest(skill, action, origin)
    return _trained(origin.won)


def keys_for(skill: Skill, action: Action, parent: Parent) -> tuple[str, ...]:
    """Which of the action's keys take the file; the others stay as they are."""
    keys, made = model_keys(action), products(skill)
    same = [key for key in keys if leaf_of(key) == parent.leaf]
    by_suffix = [key for key in keys if leaf_of(key) in made and _is_for(key, parent.file)]
    plain = [key for key in keys if leaf_of(key) not in made]
    return tuple(same or by_suffix or plain or keys)


def lineage(origin: Origin, parent: Parent | None) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """The specs that led to a file, the oldest first: of the training, then of each action since.

    Addresses of an object store stand in them as they were asked for.
    """
    return tuple((name, _read(paths)) for name, paths in _ancestors(origin, parent))


def brought(origin: Origin, parent: Parent | None) -> tuple[Staged, ...]:
    """What the jobs that led to a file read from an object store."""
    return tuple(item for _, paths in _ancestors(origin, parent) for item in pins.of_job(paths.job))


def _ancestors(origin: Origin, parent: Parent | None) -> tuple[tuple[str, AttemptPaths], ...]:
    later = reversed([(run.action, run.paths) for run in _back(origin.study, parent)])
    return (("train", origin.won.attempt), *later)


def _back(study: StudyPaths, parent: Parent | None) -> Iterator[Run]:
    run = parent.run if parent else None
    while run is not None:
        yield run
        run = runs.read(study, run.after) if run.after else None


def _read(paths: AttemptPaths) -> dict[str, Any]:
    """A spec as it was asked for: with addresses where it has the places to which a node brings what is there."""
    try:
        made = spec.load(paths.spec.read_text(encoding="utf-8"), str(paths.spec))
    except FileNotFoundError:
        tip = "without it nobody knows the structure of the model"
        raise UsageError(f"{paths.spec} is missing", tip=tip) from None
    asked: dict[str, Any] = remote.replaced(made, {item.path: item.url for item in pins.of_job(paths.job)})
    return asked


def _trained(won: Winner) -> Parent:
    if won.checkpoint is None:
        raise UsageError(
            f"the checkpoint of trial {won.trial} of study '{won.study}' is gone",
            tip="--checkpoint FILE names another, or take another trial: STUDY/TRIAL",
            code="checkpoint-missing",
        )
    return Parent(won.checkpoint, epoch=won.epoch)


def _named(skill: Skill, origin: Origin) -> Parent:
    names, won = skill.facts.checkpoints, origin.won
    if remote.is_remote(origin.checkpoint):
        return Parent(Path(remote.parse(str(origin.checkpoint)).name), url=str(origin.checkpoint))
    file = Path(str(origin.checkpoint))
    if origin.checkpoint == LATEST:
        file = won.attempt.checkpoints(names.folder) / names.latest
        if not file.exists():
            raise UsageError(f"trial {won.trial} of study '{won.study}' has no newest checkpoint: {file} is missing")
    if not file.exists():
        raise UsageError(
            f"checkpoint {file} is missing",
            tip="leave --checkpoint out to take the winner's",
            code="checkpoint-missing",
        )
    file = file.resolve()
    known = {found.path.resolve(): found.epoch for found in checkpoint.scan(file.parent, names)}
    return Parent(file, epoch=known.get(file))


def _of_run(skill: Skill, action: Action, run: Run) -> Parent:
    wanted = {leaf_of(key) for key in model_keys(action)}
    files = {leaf_of(key): path for key, path in run.outputs.items()}
    leaf = next((leaf for leaf in files if leaf in wanted), next(iter(files), None))
    file = files[leaf] if leaf is not None and (leaf in wanted or run.model is None) else run.model
    if file is None:
        raise UsageError(f"{run.name} made no model", tip=f"--checkpoint FILE names one below {run.paths.folder}")
    if not file.exists():
        raise UsageError(f"{file}, which {run.name} made, is gone", tip=f"run {run.action} again")
    taken = leaf if file == files.get(str(leaf)) else None
    _refuse_other_container(skill, action, run, taken)
    return Parent(file, run, taken, run.epoch)


def _refuse_other_container(skill: Skill, action: Action, run: Run, leaf: str | None) -> None:
    """What the deploy container takes is not what the container that trains takes, under the same word."""
    if leaf is None or leaf in {leaf_of(key) for key in model_keys(action)}:
        return
    for other in skill.actions.values():
        if other.task == action.task and leaf in {leaf_of(key) for key in model_keys(other)}:
            raise UsageError(
                f"{action.name} does not take the {leaf} that {run.name} made",
                tip=f"tao-automl action {other.name} does",
            )


def _newest(skill: Skill, action: Action, origin: Origin) -> Parent:
    won, made = origin.won, products(skill)
    for key in model_keys(action):
        run = runs.newest(origin.study, won.trial, leaf_of(key))
        if run is not None:
            return _of_run(skill, action, run)
    key = model_keys(action)[0]
    maker = made[leaf_of(key)]
    raise UsageError(
        f"{action.name} needs {key}: no {maker} of trial {won.trial} of study '{won.study}' has finished",
        tip=f"tao-automl action {maker} {won.study}/{won.trial} makes it, or --checkpoint FILE names one",
        code="input-missing",
    )


def _is_for(key: str, file: Path) -> bool:
    """True for a key such as `onnx_file` or `trt_engine` and a file with that suffix."""
    return len(file.suffix) > 1 and file.suffix[1:].lower() in leaf_of(key).split("_")
