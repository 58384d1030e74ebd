"""What a run will do, decided before anything starts.

`prepare` reads the skill and the data and returns a `Plan`; `trial_spec` and `trial_job` turn a plan and a
proposed config into what is submitted. `plan` prints the first job, `run` submits it: both call the same
functions, so the dry run is the run up to the start.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tao_automl import launch
from tao_automl.config import Settings
from tao_automl.errors import AutoMLError, SkillError, UsageError
from tao_automl.execution import runtimes
from tao_automl.execution.job import JobSpec, run_sh
from tao_automl.execution.runtimes import standin
from tao_automl.launch import Data, Launch
from tao_automl.layout import AttemptPaths, StudiesPaths, StudyPaths, skills_dir
from tao_automl.search import algorithms
from tao_automl.search.overrides import Overrides
from tao_automl.search.overrides import read as read_overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import dataset, keypath, skill
from tao_automl.tao import spec as spec_file
from tao_automl.tao.metric import Direction, Metric
from tao_automl.tao.skill import Action, Skill

OFF = "AutoML policy is off"


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed when a study starts."""

    settings: Settings
    name: str
    skill: Skill
    data: Data
    launch: Launch
    metric: Metric
    space: SearchSpace
    epochs: int
    runtime: str
    embedded: bool = False  # nobody named data: the stand-in trains on its sample data

    @property
    def studies(self) -> StudiesPaths:
        return StudiesPaths(self.settings["studies_dir"])

    @property
    def paths(self) -> StudyPaths:
        return self.studies.study(self.name)

    @property
    def storage_url(self) -> str:
        url: str | None = self.settings["storage"]
        return url or self.studies.storage_url

    @property
    def trials(self) -> int:
        """Trials in all; without anything to search, one."""
        return int(self.settings["trials"]) if self.space.parameters else 1

    @property
    def parallel(self) -> int:
        """Trials at a time: what was asked, else one a core for the stand-in and one otherwise."""
        asked: int | None = self.settings["parallel"]
        by_machine = min(os.cpu_count() or 1, 4) if self.runtime == "standin" else 1
        return min(asked or by_machine, self.trials)

    @property
    def gpus(self) -> int:
        """GPUs of a trial: what was asked, else what `--set` says of the model's own key, else none."""
        asked: int | None = self.settings["gpus"]
        key = self.skill.facts.keys.num_gpus
        if asked is None and key is not None and key in self.launch.chosen:
            asked = keypath.get(self.launch.spec, key)
        return int(asked or 0)


def prepare(settings: Settings, now: datetime, check: Callable[[Plan], None] = lambda _plan: None) -> Plan:
    """Read the skill and the data, check everything that can be checked, choose what to search.

    Args:
        check: has the last word; if it raises, nothing that was made for the plan is left.

    Raises:
        AutoMLError: whatever the user asked wrongly; nothing has been started or changed then.
    """
    chosen = find_skill(settings)
    if not chosen.automl_enabled and settings["automl_policy"] == "on":
        raise SkillError(
            f"model '{chosen.model}' is not enabled for AutoML",
            tip="--automl-policy off trains it once, without a search",
        )
    settings = settings.with_values(settings.origin("model"), model=chosen.model)
    embedded = settings["runtime"] in (None, "standin") and not launch.data_is_named(chosen, settings)
    runtime = _runtime(settings, embedded)
    algorithms.check(settings["algorithm"], settings["pruner"])
    with _sample_data(settings) if embedded else nullcontext(_data(settings)) as data:
        plan = dataclasses.replace(_plan(settings, chosen, data, runtime, now), embedded=embedded)
        check(plan)
    return plan


def _plan(settings: Settings, chosen: Skill, data: Data, runtime: str, now: datetime) -> Plan:
    launched = launch.training(chosen, settings, data)
    metric = launch.metric_of(chosen, settings)
    if settings["direction"]:
        metric = dataclasses.replace(metric, direction=Direction(settings["direction"]))
    epochs = int(keypath.get(launched.spec, chosen.facts.keys.epochs))
    return Plan(
        settings=settings,
        name=settings["name"] or f"{chosen.model}-{now:%Y%m%d-%H%M%S}",
        skill=chosen,
        data=data,
        launch=launched,
        metric=metric,
        space=space(chosen, launched, settings, epochs, data.samples),
        epochs=epochs,
        runtime=runtime,
    )


def find_skill(settings: Settings) -> Skill:
    """The skill that the settings name.

    Raises:
        UsageError: no model is named, or none has that name.
    """
    if settings["skill_dir"]:
        return skill.load(settings["skill_dir"])
    if not settings["model"]:
        raise UsageError("no model is named", tip="--model dino, or -f STUDY.yaml; tao-automl models lists them")
    return skill.find(settings["model"], skills_dir())


def space(chosen: Skill, launched: Launch, settings: Settings, epochs: int, samples: int | None) -> SearchSpace:
    """The search space of a study; with the policy off, one without parameters.

    Raises:
        UsageError: `--search` or `--keep` asks for what the schema does not allow.
    """
    schema = chosen.schema("train")
    overrides = read_overrides(settings["search"], settings["keep"])
    if settings["automl_policy"] == "off":
        overrides = Overrides({}, dict.fromkeys(schema.default_set, OFF))
    limits = Limits(epochs=epochs, samples=samples, gpus=max(1, settings["gpus"] or 1))
    return SearchSpace.build(schema, launched.spec, chosen.facts.search, overrides, limits)


def trial_spec(plan: Plan, values: Mapping[str, Any], paths: AttemptPaths) -> dict[str, Any]:
    """The full spec of one attempt: template, what was launched over it, the proposed config, the folder."""
    own = {plan.skill.facts.keys.results_dir: str(paths.folder)}
    return spec_file.build(plan.launch.spec, {}, {**values, **own})


def first_spec(plan: Plan) -> dict[str, Any]:
    """The spec of trial 0, which is the launched config itself."""
    return trial_spec(plan, plan.space.decode(plan.space.centre()), plan.paths.attempt(0, 1))


def job_id(name: str, number: int, attempt: int) -> str:
    """Derived, so that submitting twice is attaching: `<study>-<trial>-<attempt>`."""
    return f"{name}-{number:04d}-{attempt}"


def trial_job(plan: Plan, number: int, attempt: int) -> JobSpec:
    """The job of one attempt of one trial."""
    paths = plan.paths.attempt(number, attempt)
    action = plan.skill.actions["train"]
    return job(job_id(plan.name, number, attempt), action, paths, plan.runtime, plan.gpus)


def job(identity: str, action: Action, paths: AttemptPaths, runtime: str, gpus: int) -> JobSpec:
    """A training trial and an export are the same kind of thing: a command with a spec in a folder."""
    command = tuple(part.replace("{config_path}", str(paths.spec)) for part in action.command.split())
    return JobSpec(
        id=identity,
        action=action.name,
        image=action.image,
        command=command,
        mounts=(),
        env={},
        gpus=gpus,
        cpus=1.0,
        shm_bytes=None,
        timeout_s=None,
        folder=paths.folder,
        runtime=runtime,
    )


def write_job(paths: AttemptPaths, job: JobSpec, spec: Mapping[str, Any]) -> None:
    """Write what is submitted: enough to run the job by hand. `spec.yaml` comes last: where it is, all is."""
    paths.folder.mkdir(parents=True, exist_ok=True)
    paths.job.write_text(job.to_json() + "\n", encoding="utf-8")
    paths.run_sh.write_text(run_sh(job, runtimes.by_name(job.runtime).command(job)), encoding="utf-8")
    paths.run_sh.chmod(0o755)
    fresh = paths.spec.with_suffix(".new")
    fresh.write_text(spec_file.dump(spec), encoding="utf-8")
    fresh.rename(paths.spec)


def _runtime(settings: Settings, embedded: bool) -> str:
    if embedded:
        return "standin"
    if not settings["runtime"]:
        raise UsageError(
            "data is named, but no runtime",
            tip="--runtime process runs TAO's own command here, --runtime standin the embedded trainer",
            code="runtime-missing",
        )
    runtimes.by_name(settings["runtime"])
    return str(settings["runtime"])


def _data(settings: Settings) -> Data:
    train = tuple(dataset.inspect(folder) for folder in settings["train_data"])
    val = tuple(dataset.inspect(folder) for folder in settings["val_data"])
    return Data(train, val)


@contextmanager
def _sample_data(settings: Settings) -> Iterator[Data]:
    """The stand-in's own data, made if it is not there, and removed again if what it was made for is refused."""
    folder = StudiesPaths(settings["studies_dir"]).sample_data
    made = standin.sample_data(folder)
    try:
        yield Data((dataset.inspect(folder / "train"),), (dataset.inspect(folder / "val"),))
    except AutoMLError:
        for path in made:
            shutil.rmtree(path) if path == folder else path.rmdir()
        raise
