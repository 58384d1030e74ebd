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
from tao_automl.errors import SkillError, UsageError
from tao_automl.layout import StudiesPaths
from tao_automl.tao import fit, keypath, objective, remote, sources, spec
from tao_automl.tao.dataset import Data, Dataset
from tao_automl.tao.dataset.images import ARCHIVES
from tao_automl.tao.facts import Facts
from tao_automl.tao.metric import Metric
from tao_automl.tao.schema import Schema
from tao_automl.tao.skill import FACTS, Action, DataSource, Skill

SOURCES = {"train_datasets": "train_data", "eval_dataset": "val_data"}  # TAO's word → our setting


@dataclass(frozen=True)
class Chosen:
    """A value set over the template, and who set it."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Launch:
    """The spec every trial starts from, and what was set over the template."""

    spec: Mapping[str, Any]
    chosen: Mapping[str, Chosen]

    @property
    def overrides(self) -> dict[str, Any]:
        return {path: item.value for path, item in self.chosen.items()}


def training(skill: Skill, settings: Settings, data: Data, with_data: bool = True, more: Data | None = None) -> Launch:
    """The launched spec of `train`.

    Args:
        more: data that the user names by its keys: it counts, but its keys are set already.
        with_data: False leaves the data's keys as they are, where only the search is of interest.

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
    if with_data:
        chosen.update(_data_values(action, settings, data, user))
    known = data.with_more(more or Data())
    chosen.update(_classes(facts, settings, known))
    chosen.update(_flags(facts, settings))
    chosen.update(user)
    chosen.update(_gpus(facts, settings, chosen))
    chosen.update(_nodes(facts, settings))
    launched = spec.build(template, {path: item.value for path, item in chosen.items()}, {})
    chosen.update(_intervals(facts, launched, epochs(skill, launched)))
    launched = spec.build(template, {path: item.value for path, item in chosen.items()}, {})
    if with_data:
        check_inputs(action, launched)
    fit.check(facts, launched, known, devices(facts, launched))
    return Launch(launched, chosen)


def data_is_named(skill: Skill, settings: Settings) -> bool:
    """True if the user says in any form what to train on."""
    if settings["train_data"] or settings["val_data"]:
        return True
    user = {skill.shorthand.get(name, name): _plain(value) for name, value in settings["set"].items()}
    action = skill.actions["train"]
    if not action.data_sources:
        return any(is_below(path, key) or is_below(key, path) for path in user for key in data_keys(skill))
    return sources.is_named(action, user)


def _plain(value: Any) -> Any:
    """A group that stands as text in a flag, read; other values as they are."""
    return spec.parse_value(value) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{") else value


def named_by_key(skill: Skill, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `--set` says, as a tree."""
    tree: dict[str, Any] = {}
    for name, value in given.items():
        tree = keypath.assign(tree, skill.shorthand.get(name, name), _plain(value))
    return tree


def classes_are_named(skill: Skill, settings: Settings) -> bool:
    """True if the user says in any form how many classes there are."""
    user = {skill.shorthand.get(name, name) for name in settings["set"]}
    return settings["num_classes"] is not None or skill.facts.keys.num_classes in user


def data_keys(skill: Skill) -> tuple[str, ...]:
    """The keys that say what training reads: where data go, else what it needs as input."""
    action = skill.actions["train"]
    keys = tuple(source.key for source in sources.of(action))
    return keys or tuple(key for key, needed in action.inputs.items() if not needed.optional)


def anchored(skill: Skill, action: Action, given: Mapping[str, Any]) -> dict[str, Any]:
    """`--set` values in which files and folders of the working directory that an action reads have their whole path.

    A job has another working directory, and a container does not see this one.
    """
    keys = (*action.inputs, *(source.key for source in sources.of(action)))
    found = {}
    for name, raw in given.items():
        path = skill.shorthand.get(name, name)
        reads = any(is_below(path, key) or is_below(key, path) for key in keys)
        found[name] = _anchored(raw) if reads and path not in action.outputs else raw
    return found


def _anchored(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(parsed := _plain(value), str):
        return _anchored(parsed)
    if isinstance(value, str):
        there = value and not remote.is_remote(value) and Path(value).exists()
        return str(Path(value).absolute()) if there else value
    if isinstance(value, Mapping):
        return {key: _anchored(item) for key, item in value.items()}
    return [_anchored(item) for item in value] if isinstance(value, list) else value


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
        paths = {part: str(file_of(dataset, name, studies)) for part, name in source.files.items()}
        values.append(paths[""] if set(paths) == {""} else paths)
    return values if source.as_list else values[0]


def file_of(dataset: Dataset, name: str, studies: StudiesPaths) -> Path | str:
    """The file or folder of a dataset that stands for a name of TAO's standard artifact, or its address.

    Raises:
        UsageError: the dataset has no such file.
    """
    is_images = dataset.images.name in (name, name.split(".", 1)[0])
    if dataset.url is not None:
        return f"{dataset.url}/{dataset.images if is_images else name}"
    if is_images:
        return images_dir(dataset, studies)
    unpacked = dataset.folder / name.split(".", 1)[0]
    path = unpacked if name.endswith(ARCHIVES) and unpacked.is_dir() else dataset.folder / name
    if not path.exists():
        raise UsageError(f"{path} is missing", tip=f"put {name} there, or --set its key", code="data-missing")
    return path


def images_dir(dataset: Dataset, studies: StudiesPaths) -> Path:
    """Where the trainer finds the images: the folder, or where the archive is unpacked."""
    return dataset.images if dataset.archive is None else studies.unpacked(dataset.archive) / "images"


def _data_values(action: Action, settings: Settings, data: Data, user: Mapping[str, Chosen]) -> dict[str, Chosen]:
    studies = StudiesPaths(settings["studies_dir"])
    chosen = {}
    for declared in sources.of(action):
        source = sources.left(declared, {path: item.value for path, item in user.items()})
        if source is None:
            continue
        setting = SOURCES.get(source.source)
        if setting is None:
            continue
        datasets = data.of(source.source)
        if not datasets and source.optional:
            continue
        if not datasets:
            flag, files = "--" + setting.replace("_", "-"), sources.shown(action, source.source)
            raise UsageError(
                f"training needs {flag}: nothing says what {source.key} is",
                tip=f"{flag} DIR" + (f" with {files}" if files else ""),
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
    elif not facts.keys.num_classes:  # words are looked for: those of the validation data are scored
        ids = tuple(sorted({number for item in data.val for number in item.categories}))
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
    return (_count(launched, facts.keys.num_gpus) or 1) * (_count(launched, facts.keys.num_nodes) or 1)


def epochs(skill: Skill, launched: Mapping[str, Any]) -> int:
    """How many epochs a launched spec trains.

    Raises:
        SkillError: the spec has no such number where the skill says it stands.
    """
    count = _count(launched, skill.facts.keys.epochs)
    if count is None:
        raise SkillError(
            f"{skill.facts.keys.epochs} holds no number of epochs in the spec template of {skill.model}",
            tip="--epochs N; or name another key in automl.yaml: keys: {epochs: KEY}",
        )
    return count


def _count(launched: Mapping[str, Any], path: str | None) -> int | None:
    """A whole number from 1 in a spec, or None: templates hold nulls, texts and -1 for what is left open."""
    value = keypath.get(launched, path, None) if path else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not float(value).is_integer():
        return None
    return int(value) if value >= 1 else None


def fixed(facts: Facts) -> dict[str, str]:
    """Keys that are no part of a search, by the reason: trials are compared by epoch and run by the engine."""
    keys = facts.keys
    intervals = (keys.validation_interval, keys.checkpoint_interval, keys.checkpoint_interval_unit)
    devices = (keys.num_gpus, keys.gpu_ids, keys.num_nodes)
    same = (*intervals, keys.num_classes, keys.eval_class_ids, *devices)
    reasons = {path: "it must be the same in every trial" for path in same if path is not None}
    return {**reasons, keys.epochs: "it must be the same in every trial: --epochs sets it"}


def _intervals(facts: Facts, launched: Mapping[str, Any], epochs: int) -> dict[str, Chosen]:
    """Both intervals within the epochs, and a checkpoint at every validation."""
    keys = facts.keys
    validate, save = _count(launched, keys.validation_interval), _count(launched, keys.checkpoint_interval)
    if not (keys.validation_interval and keys.checkpoint_interval and validate and save):
        return {}
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
        if path is not None and path in user and not (_is_number(user[path].value) and user[path].value >= 1):
            raise UsageError(f"--set {path}={user[path].value}: at least 1 is needed", tip=f"--set {path}=1")


def _check_search(facts: Facts, settings: Settings) -> None:
    """What must be the same for all trials cannot be searched."""
    for path in settings["search"]:
        if path in fixed(facts):
            raise UsageError(f"--search {path}: it must be the same in every trial", tip=f"--set {path}=VALUE")


def check_inputs(action: Action, full: Mapping[str, Any]) -> None:
    """Refuse a spec that says nothing of what an action must read.

    Raises:
        UsageError: the first key that is missing is named.
    """
    for key, needed in action.inputs.items():
        value = keypath.get(full, key, None)
        if value in (None, "", [], [""], "???") and not needed.optional:
            raise UsageError(
                f"{action.name} needs {key}: nothing says what it is",
                tip=f"--set {key}=PATH",
                code="input-missing",
            )


def is_below(path: str, source: str) -> bool:
    """True for the key itself and everything under it: `a.b` holds for `a.b[0].c` and `a.b.c`."""
    return path == source or path.startswith((source + ".", source + "["))


def metrics_of(skill: Skill, settings: Settings) -> tuple[Metric, ...]:
    """The study's objectives with their directions: the user's words, aliases of them, or the model's own metric.

    Raises:
        UsageError: the model reports no such metric, or nothing says what it reports or which way is better.
    """
    asked = objective.Words(settings["metric"], settings["direction"], settings["eval_action"] is not None)
    return objective.choose_all(skill.facts, asked, skill.folder / FACTS)


def check_metric(skill: Skill, metric: Metric, launched: Mapping[str, Any]) -> None:
    """Refuse a metric that the launched spec does not let the trainer report.

    Raises:
        UsageError: a value of the spec that it needs is another one.
    """
    for path, wanted in metric.needs.items():
        value = keypath.get(launched, path, None)
        if value == wanted:
            continue
        others = [item.name for item in skill.facts.metrics.values() if item.needs.get(path) == value]
        tip = f"--set {path}={wanted}" + (f", or --metric {others[0]}" if others else "")
        raise UsageError(f"{metric.name} is reported with {path} {wanted} only, which is {value}", tip=tip)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
