"""What a run will do, decided before anything starts.

`prepare` reads the skill and the data and returns a `Plan`, from which `jobs` makes what is submitted.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tao_automl import capacity, fidelity, launch, mounts, studydata
from tao_automl.capacity import Need
from tao_automl.config import Settings
from tao_automl.errors import SkillError, UsageError
from tao_automl.execution import runtimes
from tao_automl.execution.cluster import Room
from tao_automl.execution.job import Mount, Staged
from tao_automl.launch import Launch
from tao_automl.layout import AttemptPaths, StudiesPaths, StudyPaths, skills_dir
from tao_automl.search import algorithms
from tao_automl.search.algorithms import Schedule
from tao_automl.search.overrides import Overrides
from tao_automl.search.overrides import read as read_overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import keypath, skill
from tao_automl.tao.bank import Bank
from tao_automl.tao.dataset import Data
from tao_automl.tao.metric import Metric
from tao_automl.tao.skill import Action, Skill

OFF = "AutoML policy is off"
CONTAINERS = "docker"  # the runtime whose jobs see only what is mounted


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
    schedule: Schedule
    runtime: str
    embedded: bool = False  # nobody named data: the stand-in trains on its sample data
    pinned: Mapping[str, Staged] = field(default_factory=dict)  # what is read from an object store, by address
    gpus_here: int | None = None  # of this machine; None if no trial needs one or a cluster is named

    @property
    def studies(self) -> StudiesPaths:
        return StudiesPaths(self.settings["studies_dir"])

    @property
    def paths(self) -> StudyPaths:
        return self.studies.study(self.name)

    @property
    def identity(self) -> str:
        """What no other study has on any machine: two folders may hold studies of one name."""
        return f"{self.name}@{self.studies.folder}"

    @property
    def storage_url(self) -> str:
        url: str | None = self.settings["storage"]
        return url or self.studies.storage_url

    @property
    def trials(self) -> int:
        """Trials in all; without anything to search, one."""
        return int(self.settings["trials"]) if self.space.parameters else 1

    @property
    def pruner(self) -> str:
        """What stops trials early: what was asked, else what belongs to the algorithm."""
        asked: str | None = self.settings["pruner"]
        return asked or algorithms.find(self.settings["algorithm"]).pruner

    @property
    def parallel(self) -> int:
        """Trials at a time: what was asked, else as many as this machine's GPUs hold, or one a core for the
        stand-in, or one."""
        asked: int | None = self.settings["parallel"]
        by_machine = min(os.cpu_count() or 1, 4) if self.runtime == "standin" else 1
        if self.gpus_here is not None:
            by_machine = max(1, capacity.fitting(self.gpus, self.gpus_here))
        return min(asked or by_machine, self.trials)

    @property
    def gpus(self) -> float:
        """GPUs of a trial on each node: what was asked, else what `--set` says of the model's own key, else none.

        Whole devices, or a share of one below 1.
        """
        asked: float | None = self.settings["gpus"]
        key = self.skill.facts.keys.num_gpus
        if asked is None and key is not None and key in self.launch.chosen:
            asked = keypath.get(self.launch.spec, key)
        return asked or 0

    @property
    def nodes(self) -> int:
        """Nodes of a trial: what was asked, else what `--set` says of the model's own key, else one."""
        key = self.skill.facts.keys.num_nodes
        chosen = self.launch.chosen.get(key) if key is not None else None
        return int(chosen.value if chosen is not None else self.settings["nodes"])

    def room(self, slots: int) -> Room:
        """What this plan asks of a cluster, for so many jobs at a time."""
        settings = self.settings
        return Room(
            study=self.identity,
            runtime=self.runtime,
            slots=slots,
            gpus=self.gpus,
            nodes=self.nodes,
            address=settings["address"],
            node_gpus=self.gpus_here,
            node_grace_s=settings["node_grace"],
            secrets=capacity.secrets(settings),
        )

    @property
    def places(self) -> dict[str, str]:
        """Where a job finds what is read from an object store, by address."""
        return {url: item.path for url, item in self.pinned.items()}

    @property
    def need(self) -> Need:
        return Need(self.gpus, self.nodes, self.runtime == CONTAINERS)

    def image(self, action: Action) -> str:
        """The container of an action: `--image` stands for the one that trains, wherever that is used.

        Raises:
            SkillError: the skill leaves the image to whoever launches, and nobody names one.
        """
        asked: str | None = self.settings["image"]
        image = asked if asked and action.image == self.skill.actions["train"].image else action.image
        if image is None and self.runtime == CONTAINERS:
            raise SkillError(
                f"{self.skill.folder / skill.INFO} names no image for {action.name}",
                tip="--image IMAGE says which container trains",
                code="image-missing",
            )
        return image or ""


def prepare(settings: Settings, now: datetime, check: Callable[[Plan], None] = lambda _plan: None) -> Plan:
    """Read the skill and the data, check everything that can be checked, choose what to search.

    The machine is checked too: see `check_machine`.

    Args:
        check: has the last word; if it raises, nothing that was made for the plan is left.

    Raises:
        AutoMLError: whatever the user asked wrongly; nothing has been started or changed then.
    """

    def checked(plan: Plan) -> None:
        check_machine(plan)
        check(plan)

    return known(settings, now, checked)


def known(
    settings: Settings,
    now: datetime,
    check: Callable[[Plan], None] = lambda _plan: None,
    pinned: Iterable[Staged] = (),
) -> Plan:
    """What `prepare` returns, without a look at the machine: enough to show a study, not to run it.

    `pinned`: what a study that exists reads from an object store.

    Raises:
        AutoMLError: as `prepare`.
    """
    chosen = find_skill(settings)
    if not chosen.automl_enabled and settings["automl_policy"] == "on":
        raise SkillError(
            f"model '{chosen.model}' is not enabled for AutoML",
            tip="--automl-policy off trains it once, without a search",
        )
    settings = settings.with_values(settings.origin("model"), model=chosen.model)
    embedded = settings["runtime"] in (None, "standin") and not launch.data_is_named(chosen, settings)
    if embedded and not chosen.facts.listed:
        raise UsageError(
            f"nothing says what model '{chosen.model}' is to train on, and the embedded trainer does not play it",
            tip="--train-data DIR and --val-data DIR, or --set KEY=PATH for: " + ", ".join(launch.data_keys(chosen)),
            code="data-missing",
        )
    runtime = _runtime(settings, embedded)
    algorithms.check(settings["algorithm"], settings["pruner"])
    pins = studydata.pins_of(settings, pinned)
    with studydata.opened(settings, chosen, pins, embedded=embedded) as data:
        plan = dataclasses.replace(_plan(settings, chosen, data, runtime, now), embedded=embedded)
        plan = dataclasses.replace(plan, pinned=pins.of([plan.launch.spec, choices(plan)]))
        capacity.check_shares(plan.need, settings)
        if plan.gpus and settings["address"] is None:
            plan = dataclasses.replace(plan, gpus_here=capacity.gpus_here(settings))
        check(plan)
    return plan


def reading(plan: Plan, tree: Mapping[str, Any]) -> Plan:
    """The plan with what a spec reads from an object store, and nothing else of it.

    Raises:
        AutoMLError: there is nothing at an address, or the store cannot be asked.
    """
    return dataclasses.replace(plan, pinned=studydata.pins_of(plan.settings, plan.pinned.values()).of(tree))


def check_machine(plan: Plan) -> None:
    """What must be there before a trial starts, as far as this machine can say.

    Raises:
        UsageError: a secret is named that the environment lacks, or a path that is to be mounted is missing.
        PlatformError: a trial needs more GPUs or nodes than this machine has, and no cluster is named.
    """
    capacity.check_secrets(plan.settings)
    if plan.runtime == CONTAINERS:
        plan.image(plan.skill.actions["train"])
        seen(plan, plan.paths.attempt(0, 1), trial_values(plan))
    if plan.settings["address"] is None:
        capacity.check_room(plan.need, plan.gpus_here)


def _plan(settings: Settings, chosen: Skill, data: Data, runtime: str, now: datetime) -> Plan:
    launched = launch.training(chosen, settings, data)
    metric = launch.metric_of(chosen, settings)
    launch.check_metric(chosen, metric, launched.spec)
    epochs = launch.epochs(chosen, launched.spec)
    searched = space(chosen, launched, settings, epochs, data.samples)
    schedule = fidelity.schedule(chosen, launched, settings, searched, metric)
    schedule.check()
    return Plan(
        settings=settings,
        name=settings["name"] or f"{chosen.model}-{now:%Y%m%d-%H%M%S}",
        skill=chosen,
        data=data,
        launch=launched,
        metric=metric,
        space=searched,
        epochs=epochs,
        schedule=schedule,
        runtime=runtime,
    )


def find_skill(settings: Settings) -> Skill:
    """The skill that the settings name.

    Raises:
        UsageError: no model is named, or none has that name.
    """
    own: list[Path] = settings["skill_dir"]
    if settings["model"]:
        return Bank.of(*own, skills_dir()).find(settings["model"])
    if not own:
        raise UsageError("no model is named", tip="--model dino, or -f STUDY.yaml; tao-automl models lists them")
    return Bank.of(*own, lenders=[skills_dir()]).only()


def space(chosen: Skill, launched: Launch, settings: Settings, epochs: int, samples: int | None) -> SearchSpace:
    """The search space of a study; with the policy off, one without parameters.

    Raises:
        UsageError: `--search` or `--keep` asks for what the schema does not allow.
    """
    schema = chosen.schema("train")
    overrides = read_overrides(settings["search"], settings["keep"])
    if settings["automl_policy"] == "off":
        overrides = Overrides({}, dict.fromkeys(schema.default_set, OFF))
    limits = Limits(epochs=epochs, samples=samples, gpus=launch.devices(chosen.facts, launched.spec))
    facts = dataclasses.replace(chosen.facts.search, keep={**launch.fixed(chosen.facts), **chosen.facts.search.keep})
    return SearchSpace.build(schema, launched.spec, facts, overrides, limits)


def choices(plan: Plan) -> dict[str, Any]:
    """What a search may choose from, by key path."""
    return {item["path"]: item.get("choices") for item in plan.space.as_dict()["searched"]}


def trial_values(plan: Plan) -> dict[str, Any]:
    """What the specs of trials hold over the template, by key path."""
    return {**plan.launch.overrides, **choices(plan)}


def seen(plan: Plan, paths: AttemptPaths, values: Mapping[str, Any]) -> tuple[Mount, ...]:
    """What a container must see of this machine, by the paths in `values` and in the settings.

    Archives are unpacked when the study starts: their folders count before they are there.
    """
    archives = [item for item in plan.data.all if item.archive is not None]
    unpacked = [launch.images_dir(item, plan.studies) for item in archives]
    extra = [mount for folder in unpacked for mount in mounts.same_path(folder, "--studies-dir")]
    extra += [Mount(path, path) for path in plan.places.values()]
    return mounts.mounts(values, paths.folder, [*extra, *mounts.named(plan.settings["mount"])])


def _runtime(settings: Settings, embedded: bool) -> str:
    if embedded:
        return "standin"
    if not settings["runtime"]:
        raise UsageError(
            "data is named, but no runtime",
            tip="--runtime docker runs TAO's container, --runtime process TAO's own command here, "
            "--runtime standin the embedded trainer",
            code="runtime-missing",
        )
    runtimes.by_name(settings["runtime"])
    return str(settings["runtime"])
