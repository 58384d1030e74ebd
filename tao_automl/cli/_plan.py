"""A plan in text and in JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tao_automl import copies, jobs
from tao_automl import plan as plans
from tao_automl.cli import _space, _words
from tao_automl.cli._tables import Column, Table, facts
from tao_automl.config import KEYS
from tao_automl.execution import runtimes
from tao_automl.execution.job import JobSpec, Mount
from tao_automl.layout import cache_dir
from tao_automl.plan import Plan
from tao_automl.search import confirm
from tao_automl.studyfile import shown_value
from tao_automl.tao import spec
from tao_automl.tao.dataset import Dataset

FIRST_ATTEMPT = 1


def notice(plan: Plan) -> str | None:
    """Said before anything else when what trains is not TAO."""
    if plan.embedded:
        return (
            "No data is named: the stand-in trainer runs on the CPU with synthetic shapes, "
            "not a TAO container.\n"
            "Real data and TAO: --train-data DIR --val-data DIR --runtime docker --gpus 1"
        )
    if plan.runtime == "standin":
        return "The stand-in trainer runs on the CPU, not a TAO container: --runtime docker runs that."
    return None


def lines(plan: Plan, width: int) -> list[Text]:
    """Everything that `run` would do, up to the start of the first trial."""
    job = jobs.trial_job(plan, 0, FIRST_ATTEMPT)
    first = [
        Text("Trial 0, with the model's defaults, would run", style="bold"),
        Text("  " + shlex.join(command(job))),
        Text(f"  in {_words.path(job.folder)}"),
    ]
    return [*facts([*_facts(plan, job), *_container(job)]), *record(plan, width), Text(""), *first]


def command(job: JobSpec) -> tuple[str, ...]:
    """What the job's runtime really runs."""
    return runtimes.by_name(job.runtime).command(job)


def _facts(plan: Plan, job: JobSpec) -> list[tuple[str, str]]:
    settings = plan.settings
    searched = len(plan.space.parameters)
    search = f"{_words.count(searched, 'parameter')}, {settings['algorithm']}, seed {settings['seed']}"
    return [
        ("Study", f"{plan.name} (new)"),
        ("Model", f"{plan.skill.model}, {job.image}"),
        ("Data", "\n".join(_data(plan)) or "named by --set"),
        *([("Brings", _brought(plan))] if plan.pinned else []),
        ("Goal", _goal(plan)),
        ("Search", f"{search}; trial 0 is the model's defaults" if searched else "none: one plain training"),
        *([("Confirm", _confirm(settings["confirm"]))] if settings["confirm"] else []),
        ("Pruner", plan.pruner if searched else "none"),
        ("Budget", _budget(plan)),
        ("Runtime", _runtime(plan)),
        ("Keep", _kept(settings["keep_checkpoints"])),
        *([("Upload", f"results and logs to {to}")] if (to := copies.address(plan)) else []),
    ]


def _goal(plan: Plan) -> str:
    texts = ", ".join(f"{metric.direction.value} {metric.name}" for metric in plan.goals.objectives)
    kept = " and ".join(item.text for item in plan.goals.constraints)
    return f"{texts}, with {kept}" if kept else texts


def _confirm(count: int) -> str:
    configs = f"the best {count} configs" if count > 1 else "the best config"
    return f"{configs} trained {confirm.REPEATS} more times with other seeds, after the search"


def _data(plan: Plan) -> list[str]:
    return [
        f"{name} {item.url or _words.path(item.folder)}"
        + (f": {_counts(item)}" if item.image_count is not None else "")
        for name, split in (("train", plan.data.train), ("val", plan.data.val))
        for item in split
    ]


def _brought(plan: Plan) -> str:
    size_bytes = sum(item.size_bytes for item in plan.pinned.values())
    return f"{_words.size(size_bytes)} of S3 to each node, into {_words.path(cache_dir(plan.settings['cache_dir']))}"


def _counts(item: Dataset) -> str:
    categories = _words.count(len(item.categories), "category").replace("categorys", "categories")
    return f"{item.image_count} images, {item.annotation_count} boxes, {categories}"


def _budget(plan: Plan) -> str:
    time = plan.settings["time"]
    limit = f" or {_words.duration(time)}" if time else ""
    limit += f" or {plan.metric.name} {plan.settings['target']:g}" if plan.settings["target"] is not None else ""
    if (plateau := plan.settings["plateau"]) is not None:
        limit += f" or {_words.count(plateau, 'trial')} without a better one"
    ends = [str(epochs) for epochs in plan.schedule.ends()]
    where = f", compared at {', '.join(ends[:-1])} and {ends[-1]}" if len(ends) > 1 else ""
    trials = f"{_words.count(plan.trials, 'trial')} of {_words.count(plan.epochs, 'epoch')}{where}{limit}"
    return f"{trials}, {plan.parallel} at a time; {plan.settings['max_failures']} failures in a row end it"


def _runtime(plan: Plan) -> str:
    where = plan.settings["address"] or "Ray on this machine"
    nodes = f" on each of {plan.nodes} nodes" if plan.nodes > 1 else " each"
    gpus = f", {_gpus(plan.gpus)}{nodes}" if plan.gpus else ", no GPU"
    return f"{plan.runtime}, {where}{gpus}"


def _gpus(count: float) -> str:
    return f"{count:g} of a GPU" if 0 < count < 1 else _words.count(int(count), "GPU")


def _container(job: JobSpec) -> list[tuple[str, str]]:
    """What is special about a job in a container."""
    if job.runtime != plans.CONTAINERS:
        return []
    shm = f", {_words.size(job.shm_bytes)} of shared memory" if job.shm_bytes else ""
    network = f", network {job.network}" if job.network else ""
    seen = [f"{_words.path(job.folder)} (rw)", *map(_mount, job.mounts)]
    return [("Container", f"image pulled: {job.image_policy}{shm}{network}"), ("Sees", "\n".join(seen))]


def _mount(mount: Mount) -> str:
    there = f" at {mount.container}" if mount.container != mount.host else ""
    return f"{mount.host}{there}" + ("" if mount.read_only else " (rw)")


def _kept(keep: int | str) -> str:
    return (
        "every checkpoint" if keep == "all" else f"the best checkpoint of the best {_words.count(int(keep), 'trial')}"
    )


def record(plan: Plan, width: int) -> list[Text]:
    """What a study was started with: settings, what is set in every spec, and the space."""
    return [*_settings(plan, width), *_launch(plan, width), *_search(plan, width)]


def _settings(plan: Plan, width: int) -> list[Text]:
    named = [name for name in KEYS if plan.settings.named(name) and name not in ("set", "search", "keep")]
    if not named:
        return []
    rows = [[name, _words.value(shown_value(name, plan.settings[name])), plan.settings.origin(name)] for name in named]
    table = Table([Column("SETTING"), Column("VALUE", elastic=True), Column("FROM")], rows)
    return [Text(""), *table.lines(width)]


def _launch(plan: Plan, width: int) -> list[Text]:
    """What every trial's spec holds over the template."""
    rows = [[path, _words.value(chosen.value), chosen.origin] for path, chosen in sorted(plan.launch.chosen.items())]
    table = Table([Column("SET IN EVERY SPEC"), Column("VALUE", elastic=True), Column("FROM")], rows)
    return [Text(""), *table.lines(width)]


def _search(plan: Plan, width: int) -> list[Text]:
    return [Text(""), *_space.lines(plan.space, width)]


def document(plan: Plan) -> dict[str, Any]:
    """For `plan --json`."""
    job = jobs.trial_job(plan, 0, FIRST_ATTEMPT)
    settings = plan.settings
    return {
        "schema": 1,
        "study": plan.name,
        "model": plan.skill.model,
        "image": job.image,
        "runtime": plan.runtime,
        "embedded": plan.embedded,
        "data": {
            "train": [_dataset(item) for item in plan.data.train],
            "val": [_dataset(item) for item in plan.data.val],
        },
        "metric": plan.metric.name,
        "direction": plan.metric.direction.value,
        "objectives": [{"metric": item.name, "direction": item.direction.value} for item in plan.goals.objectives],
        "constraints": [item.text for item in plan.goals.constraints],
        "budget": {
            "trials": plan.trials,
            "time_s": settings["time"],
            "max_failures": settings["max_failures"],
            "target": settings["target"],
            "plateau": settings["plateau"],
        },
        "parallel": plan.parallel,
        "epochs": plan.epochs,
        "gpus": plan.gpus,
        "nodes": plan.nodes,
        "settings": {
            name: {"value": shown_value(name, settings[name]), "origin": settings.origin(name)}
            for name in KEYS
            if settings.named(name)
        },
        "launch": {
            path: {"value": chosen.value, "origin": chosen.origin} for path, chosen in plan.launch.chosen.items()
        },
        "space": space_document(plan.skill.model, plan.space.as_dict()),
        "first_job": json.loads(job.to_json()),
        "first_command": list(command(job)),
        "first_spec": spec.dump(jobs.first_spec(plan)),
    }


def space_document(model: str, space: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": model, **{name: part for name, part in space.items() if name not in ("schema", "model")}}


def _dataset(item: Dataset) -> dict[str, Any]:
    return {
        "folder": item.url or str(item.folder),
        "images": item.image_count,
        "annotations": item.annotation_count,
        "categories": {str(number): name for number, name in item.categories.items()},
    }
