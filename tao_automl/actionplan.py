"""What a downstream action will do, decided before anything starts: its model, its spec, its folder, its job.

The spec is the action's template with the structural parameters of the specs that led to its model, the exact
file of that model, and the data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tao_automl import feed, functions, jobs, launch, mounts, parents, refusals, results, runs, structure
from tao_automl import plan as plans
from tao_automl.errors import UsageError, near
from tao_automl.execution.job import JobSpec
from tao_automl.feed import Feed, Place
from tao_automl.functions import Given
from tao_automl.layout import AttemptPaths
from tao_automl.parents import Origin, Parent
from tao_automl.plan import CONTAINERS, Plan
from tao_automl.results import Winner
from tao_automl.search import study as studies
from tao_automl.tao import keypath, remote, spec
from tao_automl.tao.skill import Action


@dataclass(frozen=True)
class Asked:
    """What a user asks for. `checkpoint` is a file or `latest`; `after` an action or a run such as export-002.

    `data` has folders that are read instead of the study's, by TAO's word for what they are for.
    """

    name: str
    trial: int | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    after: str | None = None
    image: str | None = None
    data: Mapping[str, Sequence[Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """An action that is ready to start. `renamed` are the files that the user named and that were there."""

    action: Action
    won: Winner
    parent: Parent | None
    spec: Mapping[str, Any]
    job: JobSpec
    paths: AttemptPaths
    feed: Feed
    renamed: Mapping[str, Path]


def winner_of(plan: Plan, trial: int | None) -> Winner:
    """The best trial of a study, or the named one.

    Raises:
        UsageError: there is no such trial, or it has no result.
    """
    study = studies.load(studies.open_storage(plan.storage_url, create=False), plan.name)
    ranked = results.ranking(studies.trials(study), plan.metric)
    chosen = next((item for item in ranked if trial is None or item.number == trial), None)
    if chosen is None:
        which = f"trial {trial} of study '{plan.name}'" if trial is not None else f"study '{plan.name}'"
        raise UsageError(f"{which} has no result", tip=f"tao-automl status {plan.name} shows what it has")
    return results.winner(chosen, plan.name, plan.paths, plan.metric)


def prepare(plan: Plan, asked: Asked) -> Prepared:
    """Choose model, spec and folder of an action. Writes nothing.

    Raises:
        UsageError: the skill has no such action or refuses it, an input is not known, what it needs has not been
            made, or the checkpoint is gone.
    """
    action = _known(plan, asked.name)
    schema = plan.skill.schema(asked.name)
    origin = _origin(plan, asked)
    parent = parents.choose(plan.skill, action, origin)
    paths = plan.paths.next_action(action.name)
    set_values = launch.user_values(plan.skill, schema, asked.given, action.task)
    lineage = [(name, _addressed(plan, made)) for name, made in parents.lineage(origin, parent)]
    template = dict(lineage[0][1]) if action.name == "train" else plan.skill.template(action.name)
    values = {item.path: item.value for item in plan.skill.facts.launch if schema.has(item.path)}
    if action.name != "train":
        values |= structure.carried(plan.skill, lineage, schema)
    keys = parents.keys_for(plan.skill, action, parent) if parent else ()
    values |= functions.values(action, Given(paths.folder, parent, keys, lineage[0][1]))
    data = feed.given(plan.skill, action, plan.data, asked.data)
    fed = feed.values(plan.skill, action, data, Place(plan.studies, paths.folder), set_values)
    values |= {**fed.values, **set_values}
    made = functions.created(action, paths.folder, set_values)
    values |= {key: str(path) for key, path in made.items()}
    full = spec.build(template, values, {})
    launch.check_inputs(action, full)
    _check_epochs(plan, action, parent, full)
    feed.check(plan.skill, action, full, data)
    plan = plans.reading(dataclasses.replace(plan, data=data), full)
    full = remote.replaced(full, plan.places)
    job = _job(plan, action, paths, values, made.values())
    job = dataclasses.replace(job, image=asked.image or job.image)
    refusals.check(plan.skill, action, job.image if plan.runtime == CONTAINERS else None, full)
    renamed = {
        key: path for key, path in made.items() if set_values.get(key) and path.name != Path(set_values[key]).name
    }
    return Prepared(action, origin.won, parent, full, job, paths, fed, renamed)


def _addressed(plan: Plan, made: Mapping[str, Any]) -> Mapping[str, Any]:
    """A spec that was run, with addresses again where it has what was brought from there."""
    found: dict[str, Any] = remote.replaced(made, {place: url for url, place in plan.places.items()})
    return found


def _known(plan: Plan, name: str) -> Action:
    actions = plan.skill.actions
    if name in actions:
        return actions[name]
    hint, listed = near(name, actions), f"there is {', '.join(sorted(actions))}"
    tip = hint if hint == listed else f"{hint} {listed}".strip()
    raise UsageError(f"model '{plan.skill.model}' has no action '{name}'", tip=tip, code="action-unknown")


def _origin(plan: Plan, asked: Asked) -> Origin:
    """The trial, and the run to start from. A run that is named says which trial it is of."""
    if asked.checkpoint and asked.after:
        raise UsageError("--checkpoint and --after exclude each other", tip="each says what to start from")
    if asked.after is None:
        return Origin(plan.paths, winner_of(plan, asked.trial), asked.checkpoint)
    trial = asked.trial
    if trial is None and not runs.is_run(asked.after):
        trial = winner_of(plan, None).trial
    run = runs.find(plan.paths, asked.after, trial)
    return Origin(plan.paths, winner_of(plan, run.trial), after=run)


def _job(plan: Plan, action: Action, paths: AttemptPaths, values: Mapping[str, Any], made: Iterable[Path]) -> JobSpec:
    job = jobs.job(plan, f"{plan.name}-{paths.folder.name}", action, paths, values)
    outside = [path.parent for path in made if path.parent != paths.folder]
    if not outside or plan.runtime != CONTAINERS:
        return job
    return dataclasses.replace(job, mounts=mounts.with_writable(job.mounts, outside, "--set"))


def _check_epochs(plan: Plan, action: Action, parent: Parent | None, full: Mapping[str, Any]) -> None:
    """A training that goes on needs an epoch to go on with."""
    path = plan.skill.facts.keys.epochs
    if action.name != "train" or parent is None or parent.epoch is None:
        return
    epochs, done = keypath.get(full, path), parent.epoch + 1
    if epochs <= done:
        raise UsageError(
            f"{path} is {epochs}, and the checkpoint has {done} epochs behind it",
            tip=f"--set {path}={done + epochs} trains longer",
        )
