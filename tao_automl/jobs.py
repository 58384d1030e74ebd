"""What is submitted: a plan and a proposed config become a spec and a job, and the job's files.

`plan` prints the first job, `run` submits it: both call the same functions, so the dry run is the run up to the
start.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from tao_automl import plan as plans
from tao_automl import segments
from tao_automl.execution import runtimes
from tao_automl.execution.job import JobSpec, run_sh
from tao_automl.layout import AttemptPaths
from tao_automl.plan import CONTAINERS, Plan
from tao_automl.segments import Segment
from tao_automl.tao import remote
from tao_automl.tao import spec as spec_file
from tao_automl.tao.skill import Action
from tao_automl.tao.template import dumps_json, dumps_toml

FORMATS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"toml": dumps_toml, "json": dumps_json}
_SCRIPT = re.compile(r"\n.*\S|<<|&&|\|\||[;|<>$`]", re.DOTALL)


def trial_spec(
    plan: Plan, values: Mapping[str, Any], paths: AttemptPaths, segment: Segment | None = None
) -> dict[str, Any]:
    """The full spec of one attempt: template, what was launched over it, the proposed config, the folder.

    Args:
        segment: the part of the training that it is; None = all of it.
    """
    own = {plan.skill.facts.keys.results_dir: str(paths.folder)}
    full = spec_file.build(plan.launch.spec, {}, {**values, **own})
    if segment is not None:
        full = spec_file.build(full, {}, segments.overrides(plan, full, segment))
    found: dict[str, Any] = remote.replaced(full, plan.places)
    return found


def first_spec(plan: Plan) -> dict[str, Any]:
    """The spec of trial 0, which is the launched config itself."""
    return trial_spec(plan, plan.space.decode(plan.space.centre()), plan.paths.attempt(0, 1))


def job_id(name: str, number: int, attempt: int) -> str:
    """Derived, so that submitting twice is attaching: `<study>-<trial>-<attempt>`."""
    return f"{name}-{number:04d}-{attempt}"


def score_id(name: str, number: int, attempt: int, scoring: int) -> str:
    """Of the action that scores an attempt: `<study>-<trial>-<attempt>-score-<n>`."""
    return f"{job_id(name, number, attempt)}-score-{scoring}"


def final_id(action_id: str) -> str:
    """Of the winner's evaluation, which the driver starts: `<study>-<action's folder>-final`."""
    return f"{action_id}-final"


def is_drivers(identity: str, name: str) -> bool:
    """True for what a study's driver starts: what `job_id`, `score_id` and `final_id` make. Not for actions that a user
    starts, nor for a trial's further nodes.
    """
    own = r"\d{4,}-\d+(-score-\d+)?|[a-z_]+-\d+-final"
    return identity.startswith(f"{name}-") and re.fullmatch(own, identity[len(name) + 1 :]) is not None


def trial_job(plan: Plan, number: int, attempt: int, segment: Segment | None = None) -> JobSpec:
    """The job of one attempt of one trial."""
    paths, action = plan.paths.attempt(number, attempt), plan.skill.actions["train"]
    values = plans.trial_values(plan)
    if segment is not None:
        values |= segments.overrides(plan, plan.launch.spec, segment)
    made = job(plan, job_id(plan.name, number, attempt), action, paths, values)
    return dataclasses.replace(made, trial=number, attempt=attempt, nodes=plan.nodes)


def job(plan: Plan, identity: str, action: Action, paths: AttemptPaths, values: Mapping[str, Any]) -> JobSpec:
    """A training trial and an export are the same kind of thing: a command with a spec in a folder.

    Args:
        values: what the spec holds over the action's template: the paths in it are what a container must see.

    Raises:
        UsageError: one of the paths cannot be mounted.
    """
    settings, variables = plan.settings, plan.settings["env"]
    command = _command(action, paths)
    return JobSpec(
        id=identity,
        action=action.name,
        image=plan.image(action),
        command=command,
        folder=paths.folder,
        runtime=plan.runtime,
        study=plan.identity,
        mounts=plans.seen(plan, paths, values) if plan.runtime == CONTAINERS else (),
        staged=tuple(plan.pinned.values()),
        env={name: value for name, value in variables.items() if value is not None},
        secrets=tuple(sorted(name for name, value in variables.items() if value is None)),
        gpus=plan.gpus,
        shm_bytes=settings["shm_size"],
        image_policy=settings["image_policy"],
        network=settings["network"],
    )


def _command(action: Action, paths: AttemptPaths) -> tuple[str, ...]:
    """The action's command; one that is a script of a shell is given to one."""
    config = str(paths.config(action.config_format))
    if _SCRIPT.search(action.command):
        return ("bash", "-c", action.command.replace("{config_path}", shlex.quote(config)))
    return tuple(part.replace("{config_path}", config) for part in action.command.split())


def write_job(paths: AttemptPaths, job: JobSpec, spec: Mapping[str, Any]) -> None:
    """Write what is submitted: enough to run the job by hand. `spec.yaml` comes last: where it is, all is.

    A command that reads another format gets the spec in that one too.
    """
    text = spec_file.dump(spec)
    paths.folder.mkdir(parents=True, exist_ok=True)
    paths.job.write_text(job.to_json() + "\n", encoding="utf-8")
    paths.run_sh.write_text(run_sh(job, runtimes.by_name(job.runtime).command(job)), encoding="utf-8")
    paths.run_sh.chmod(0o755)
    for format_name, write in FORMATS.items():
        config = paths.config(format_name)
        if config != paths.spec and any(str(config) in part for part in job.command):
            config.write_text(write(spec), encoding="utf-8")
    fresh = paths.spec.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.rename(paths.spec)
