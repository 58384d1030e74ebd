"""What is launched before anything is searched: the template and what the user, data and engine set over it.

The order of strength, weakest first: template, the skill's `launch` values, the data, flags such as --epochs,
`--set`. Two things the engine decides last, because a trial is worthless without them: the intervals, so
that each validated epoch has a checkpoint file, and the GPU ids, which always count from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.config import Settings
from tao_automl.errors import UsageError, near
from tao_automl.layout import StudiesPaths
from tao_automl.tao import keypath, spec
from tao_automl.tao.dataset import Dataset
from tao_automl.tao.facts import Facts
from tao_automl.tao.schema import Schema
from tao_automl.tao.skill import Action, DataSource, Skill

SOURCES = {"train_datasets": "train_data", "eval_dataset": "val_data"}  # TAO's word → our setting


@dataclass(frozen=True)
class Chosen:
    """A value set over the template, and who set it."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Data:
    """The checked data of a study. Empty where it is named by `--set` instead of a directory."""

    train: tuple[Dataset, ...] = ()
    val: tuple[Dataset, ...] = ()

    def of(self, source: str) -> tuple[Dataset, ...]:
        return {"train_datasets": self.train, "eval_dataset": self.val}.get(source, ())

    @property
    def samples(self) -> int | None:
        """Images of the smaller split, which bounds batch size times GPUs."""
        counts = [sum(item.image_count for item in split) for split in (self.train, self.val) if split]
        return min(counts, default=None)

    @property
    def category_ids(self) -> tuple[int, ...]:
        return tuple(sorted({number for item in (*self.train, *self.val) for number in item.categories}))


@dataclass(frozen=True)
class Launch:
    """The spec every trial starts from, and what was set over the template."""

    spec: Mapping[str, Any]
    chosen: Mapping[str, Chosen]

    @property
    def overrides(self) -> dict[str, Any]:
        return {path: item.value for path, item in self.chosen.items()}


def training(skill: Skill, settings: Settings, data: Data) -> Launch:
    """The launched spec of `train`.

    Raises:
        UsageError: `--set` names a key that the schema lacks or a value of the wrong type, the data does not
            fit the class count or the batch, or the data is incomplete.
    """
    action, schema, facts = skill.actions["train"], skill.schema("train"), skill.facts
    template = skill.template("train")
    chosen = {item.path: Chosen(item.value, f"skill: {item.why}") for item in facts.launch}
    values = user_values(skill, schema, settings["set"], action.name)
    user = {path: Chosen(value, f"{settings.origin('set')}: set") for path, value in values.items()}
    _check_counts(facts, user)
    _check_search(facts, settings)
    chosen.update(_data_values(action, settings, data, user))
    chosen.update(_classes(facts, settings, data))
    chosen.update(_flags(facts, settings))
    chosen.update(user)
    chosen.update(_gpus(facts, settings, chosen))
    chosen.update(_nodes(facts, settings))
    launched = spec.build(template, {path: item.value for path, item in chosen.items()}, {})
    chosen.update(_intervals(facts, launched))
    launched = spec.build(template, {path: item.value for path, item in chosen.items()}, {})
    _check_classes(facts, launched, data)
    _check_batch(facts, launched, data)
    return Launch(launched, chosen)


def data_is_named(skill: Skill, settings: Settings) -> bool:
    """True if the user says in any form what to train on."""
    if settings["train_data"] or settings["val_data"]:
        return True
    sources = [source.key for source in skill.actions["train"].data_sources]
    return any(is_below(key, source) for key in settings["set"] for source in sources)


def user_values(skill: Skill, schema: Schema, given: Mapping[str, Any], action: str) -> dict[str, Any]:
    """The `--set` values by key path, checked against the schema; shorthand such as `num_epochs` is understood.

    Raises:
        UsageError: unknown key, a value of the wrong type, or the results folder, which is ours to choose.
    """
    chosen = {}
    for name, raw in given.items():
        path = skill.shorthand.get(name, name)
        if path in (skill.facts.keys.results_dir, f"{action}.results_dir"):
            raise UsageError(f"--set {name}: each run has its own results folder", tip="use --studies-dir")
        chosen[path] = typed(schema, path, raw)
    return chosen


def typed(schema: Schema, path: str, raw: Any) -> Any:
    """A value as its key wants it: text from a flag is read as YAML unless the key takes text.

    Raises:
        UsageError: unknown key, or a value of the wrong type.
    """
    takes_text = path in schema.fields and schema.fields[path].type in ("string", "categorical")
    value = spec.parse_value(raw) if isinstance(raw, str) and not takes_text else raw
    schema.check(path, value)
    return value


def source_value(source: DataSource, datasets: Sequence[Dataset], studies: StudiesPaths) -> Any:
    """What the spec holds for one data source: a path, a mapping of paths, or a list of either."""
    values: list[Any] = []
    for dataset in datasets:
        paths = {part: str(_file(dataset, name, studies)) for part, name in source.files.items()}
        values.append(paths[""] if set(paths) == {""} else paths)
    return values if source.as_list else values[0]


def _file(dataset: Dataset, name: str, studies: StudiesPaths) -> Path | str:
    """The file or folder of a dataset that stands for a name of TAO's standard artifact."""
    if dataset.url is not None:
        return f"{dataset.url}/{dataset.images if name == 'images.tar.gz' else name}"
    if name == "images.tar.gz":
        return images_dir(dataset, studies)
    if name == "annotations.json":
        return dataset.annotations
    path = dataset.folder / name
    if not path.exists():
        raise UsageError(f"{path} is missing", tip=f"put {name} beside the annotations, or --set its key")
    return path


def images_dir(dataset: Dataset, studies: StudiesPaths) -> Path:
    """Where the trainer finds the images: the folder, or where the archive is unpacked."""
    return dataset.images if dataset.archive is None else studies.unpacked(dataset.archive) / "images"


def _data_values(action: Action, settings: Settings, data: Data, user: Mapping[str, Chosen]) -> dict[str, Chosen]:
    studies = StudiesPaths(settings["studies_dir"])
    chosen = {}
    for source in action.data_sources:
        if any(is_below(path, source.key) for path in user):
            continue
        setting = SOURCES.get(source.source)
        if setting is None:
            continue
        datasets = data.of(source.source)
        if not datasets and source.optional:
            continue
        if not datasets:
            flag = "--" + setting.replace("_", "-")
            raise UsageError(
                f"training needs {flag}: nothing says what {source.key} is",
                tip=f"{flag} DIR with images/ and annotations.json; or the other split again",
                code="data-missing",
            )
        if len(datasets) > 1 and not source.many:
            raise UsageError(f"{source.key} takes one directory, {len(datasets)} are named")
        origin = settings.origin(setting) if settings[setting] else "sample data"
        chosen[source.key] = Chosen(source_value(source, datasets, studies), origin)
    return chosen


def _classes(facts: Facts, settings: Settings, data: Data) -> dict[str, Chosen]:
    chosen = {}
    ids = data.category_ids
    if settings["num_classes"] is not None:
        chosen[_key(facts, "num_classes", "--num-classes")] = Chosen(
            settings["num_classes"], settings.origin("num_classes")
        )
    elif ids and facts.keys.num_classes:
        chosen[facts.keys.num_classes] = Chosen(ids[-1] + 1, "data: highest category id + 1")
    if ids and facts.keys.eval_class_ids:
        chosen[facts.keys.eval_class_ids] = Chosen(list(ids), "data: every category")
    return chosen


def _flags(facts: Facts, settings: Settings) -> dict[str, Chosen]:
    if settings["epochs"] is None:
        return {}
    path = _key(facts, "epochs", "--epochs")
    return {path: Chosen(settings["epochs"], settings.origin("epochs"))}


def _key(facts: Facts, name: str, flag: str) -> str:
    path: str | None = getattr(facts.keys, name)
    if path is None:
        raise UsageError(f"{flag}: this model has no such key", tip="--set the key by its path")
    return path


def _gpus(facts: Facts, settings: Settings, chosen: Mapping[str, Chosen]) -> dict[str, Chosen]:
    """`gpu_ids` count from 0 inside the job, whatever devices it gets."""
    keys, count = facts.keys, settings["gpus"]
    if keys.num_gpus is None or (count is None and keys.num_gpus not in chosen):
        return {}
    count = count if count is not None else chosen[keys.num_gpus].value
    number = Chosen(max(1, math.ceil(count)), settings.origin("gpus"))
    ids = {keys.gpu_ids: Chosen(list(range(number.value)), "engine: ids count from 0")} if keys.gpu_ids else {}
    return {keys.num_gpus: number, **ids}


def _nodes(facts: Facts, settings: Settings) -> dict[str, Chosen]:
    """Only what was asked: one node is the template's own."""
    if not settings.named("nodes"):
        return {}
    return {_key(facts, "num_nodes", "--nodes"): Chosen(settings["nodes"], settings.origin("nodes"))}


def devices(facts: Facts, launched: Mapping[str, Any]) -> int:
    """On how many devices a training runs, on all its nodes: so many batches are one step."""
    gpus = keypath.get(launched, facts.keys.num_gpus, 1) if facts.keys.num_gpus else 1
    nodes = keypath.get(launched, facts.keys.num_nodes, 1) if facts.keys.num_nodes else 1
    return int(gpus) * int(nodes)


def _intervals(facts: Facts, launched: Mapping[str, Any]) -> dict[str, Chosen]:
    """Both intervals within the epochs, and a checkpoint at every validation."""
    keys = facts.keys
    if not (keys.epochs and keys.validation_interval and keys.checkpoint_interval):
        return {}
    epochs = keypath.get(launched, keys.epochs)
    validate = keypath.get(launched, keys.validation_interval)
    save = keypath.get(launched, keys.checkpoint_interval)
    chosen = {}
    if validate > epochs:
        validate = epochs
        chosen[keys.validation_interval] = Chosen(epochs, "engine: not longer than the epochs")
    if save > epochs or validate % save:
        chosen[keys.checkpoint_interval] = Chosen(validate, "engine: each validated epoch needs a checkpoint")
    unit = keys.checkpoint_interval_unit
    if unit and keypath.get(launched, unit, "epoch") != "epoch":
        chosen[unit] = Chosen("epoch", "engine: each validated epoch needs a checkpoint")
    return chosen


def _check_counts(facts: Facts, user: Mapping[str, Chosen]) -> None:
    """Bounds of a schema are hints, but with these the engine itself counts."""
    keys = facts.keys
    counts = (keys.epochs, keys.validation_interval, keys.checkpoint_interval)
    for path in (*counts, keys.num_classes, keys.batch_size, keys.num_gpus, keys.num_nodes):
        if path is not None and path in user and (user[path].value is None or user[path].value < 1):
            raise UsageError(f"--set {path}={user[path].value}: at least 1 is needed", tip=f"--set {path}=1")


def _check_search(facts: Facts, settings: Settings) -> None:
    """Trials are compared by epoch and run by the engine: these are the same for all of them."""
    keys = facts.keys
    intervals = (keys.validation_interval, keys.checkpoint_interval, keys.checkpoint_interval_unit)
    devices = (keys.num_gpus, keys.gpu_ids, keys.num_nodes)
    fixed = (keys.epochs, *intervals, keys.num_classes, keys.eval_class_ids, *devices)
    for path in settings["search"]:
        if path in fixed:
            raise UsageError(f"--search {path}: it must be the same in every trial", tip=f"--set {path}=VALUE")


def _check_classes(facts: Facts, launched: Mapping[str, Any], data: Data) -> None:
    path = facts.keys.num_classes
    if path is None or not data.category_ids:
        return
    count, highest = keypath.get(launched, path), data.category_ids[-1]
    if count < highest + 1:
        raise UsageError(
            f"{path} is {count}, but the data has category id {highest}: it must be at least {highest + 1}",
            tip=f"--num-classes {highest + 1}, or leave it out",
            code="num-classes",
        )


def _check_batch(facts: Facts, launched: Mapping[str, Any], data: Data) -> None:
    path = facts.keys.batch_size
    if path is None or data.samples is None:
        return
    batch = keypath.get(launched, path)
    gpus = devices(facts, launched)
    if batch * gpus > data.samples:
        raise UsageError(
            f"{path} {batch} on {gpus} GPU(s) is more than the {data.samples} images of the smaller split",
            tip=f"--set {path}={data.samples // gpus}" if gpus <= data.samples else "take fewer GPUs, or more images",
            code="batch-too-large",
        )


def is_below(path: str, source: str) -> bool:
    """True for the key itself and everything under it: `a.b` holds for `a.b[0].c` and `a.b.c`."""
    return path == source or path.startswith((source + ".", source + "["))


def metric_of(skill: Skill, settings: Settings) -> Any:
    """The study's metric with its direction: the user's word, an alias of it, or the model's own.

    Raises:
        UsageError: the model reports no such metric.
    """
    facts = skill.facts
    name = settings["metric"] or facts.metric
    known = {alias: metric for metric in facts.metrics.values() for alias in (metric.name, *metric.aliases)}
    if name not in known:
        raise UsageError(f"model '{skill.model}' reports no metric '{name}'", tip=near(name, known))
    return known[name]
