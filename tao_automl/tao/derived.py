"""What tuning must know about a model for which nobody has written an `automl.yaml`, read from TAO's own files.

The result has the shape of `automl.yaml`, so that lines of one can be laid over it. Nothing in here knows a
model: keys are found by the names that all of TAO's specs use, and what is not found is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.tao import keypath, prose
from tao_automl.tao.habits import search
from tao_automl.tao.schema import MISSING, Schema

_PREFIX = re.compile(r"^tao[-_][a-z]+[-_]")
# Where a spec has both epochs and num_epochs, the second is there for other programs.
_EPOCHS = ("epochs", "num_epochs", "max_epochs", "epoch", "n_epochs", "total_epochs")
_FUNCTION = re.compile(r"key|output_dir|resume_model|(parent_model|ptm|create_)\w*")
_EVALUATION = re.compile(r"(val|test|infer|eval|quant)\w*", re.I)
_ACTIONS = ("evaluate", "inference", "export", "quantize", "distill", "gen_trt_engine", "prune", "dataset_convert")
_FILES = re.compile(r".*(path|file|dir|checkpoint|pretrained|weights|url)s?", re.I)
_TITLE = 44  # columns of a table


@dataclass(frozen=True)
class Source:
    """TAO's files of one skill: the folder, its skill_info.yaml, and schema and template of training."""

    folder: Path
    info: Mapping[str, Any]
    schema: Schema
    template: Mapping[str, Any]
    spec_params: Mapping[str, str]
    outputs: Mapping[str, str]

    def number(self, path: str | None) -> str | None:
        """The path, if the template has a number there."""
        value = keypath.get(self.template, path, None) if path and keypath.valid(path) else None
        return path if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def there(self, path: str | None) -> str | None:
        """The path, if the template has it."""
        known = path and keypath.valid(path) and keypath.get(self.template, path, MISSING) is not MISSING
        return path if known else None

    def shorthand(self, *names: str) -> str | None:
        """The path that TAO calls by one of these names."""
        short = self.info.get("spec_shorthand_keys")
        paths = [short[name] for name in names if isinstance(short, Mapping) and isinstance(short.get(name), str)]
        return paths[0] if paths else None


def model_of(folder: Path) -> str:
    """The name users type: the folder's, without the words that all of them begin with."""
    name = re.sub(r"[^a-z0-9]+", "_", _PREFIX.sub("", folder.resolve().name.lower())).strip("_")
    return name if name[:1].isalpha() else f"model_{name}".rstrip("_")


def document(source: Source) -> dict[str, Any]:
    """An `automl.yaml` as a mapping; what TAO's files do not say is left out."""
    found: dict[str, Any] = {
        "model": model_of(source.folder),
        "title": _title(source.info),
        **metrics(source),
        "keys": {name: path for name, path in _keys(source).items() if path},
        "checkpoints": _checkpoints(source),
        **_data(source),
        "launch": _launch(source),
        "carry": _carry(source),
    }
    rules = search(source.schema, source.template, found["keys"].get("epochs"))
    return {**found, "search": rules} if rules else found


def metrics(source: Source) -> dict[str, Any]:
    """`metric` and `metrics`, where both the name and which way is better are stated."""
    actions = source.info.get("actions")
    train = actions.get("train") if isinstance(actions, Mapping) else None
    for place in (train, source.info):
        if isinstance(place, Mapping) and isinstance(place.get("metric"), str):
            direction = place.get("metric_direction", place.get("direction"))
            return _metric(place["metric"], direction if isinstance(direction, str) else None)
    named = prose.metric(source.folder)
    return _metric(named.name, named.direction) if named else {}


def aliases(name: str) -> tuple[list[str], str | None]:
    """Other names of a metric in TAO's kpis, and its name in those of the evaluate action.

    One metric is `val_mAP50` in training, `test_mAP50` in evaluation, and `mAP50` in texts.
    """
    match = re.fullmatch(r"(\[\w+\] |)(?:(val|test|eval)([_/ ]))?(.+)", name)
    assert match is not None
    head, joint, base = match[1], match[3] or "_", match[4]
    if base.startswith(("train", "loss")) and not match[2]:
        return [], None
    wanted = [f"{head}val{joint}{base}", f"{head}{base}"]
    return [other for other in wanted if other != name], f"{head}test{joint}{base}"


def _metric(name: str, direction: str | None) -> dict[str, Any]:
    word = (direction or "").strip().lower()
    word = {"max": "maximize", "min": "minimize"}.get(word, word)
    if not name.strip() or word not in ("maximize", "minimize"):
        return {}
    others, evaluate = aliases(name)
    entry: dict[str, Any] = {"direction": word}
    if others:
        entry["aliases"] = others
    if evaluate:
        entry["evaluate"] = evaluate
    return {"metric": name, "metrics": {name: entry}}


def _title(info: Mapping[str, Any]) -> str:
    text = info.get("title") or info.get("description") or info.get("network_arch")
    first = re.split(r"[.;](?:\s|$)", " ".join(str(text).split()), maxsplit=1)[0]
    if len(first) <= _TITLE:
        return first or "no title"
    return first[:_TITLE].rsplit(" ", 1)[0] + " …"


def _keys(source: Source) -> dict[str, str | None]:
    gpus = source.number(_text(source.info, "gpu_spec_key")) or source.number(_first(source, ("num_gpus",)))
    block = gpus.rpartition(".")[0] if gpus else "train"
    save = source.number(_first(source, ("checkpoint_interval", "save_interval")))
    nodes = _text(source.info, "node_spec_key") or _join(block, "num_nodes")
    return {
        "epochs": source.number(source.shorthand(*_EPOCHS)) or source.number(_first(source, _EPOCHS)),
        "validation_interval": source.number(_first(source, ("validation_interval", "val_interval", "eval_interval"))),
        "checkpoint_interval": save,
        "checkpoint_interval_unit": source.there(f"{save}_unit") if save else None,
        "num_classes": source.number(source.shorthand("num_classes")) or source.number("dataset.num_classes"),
        "eval_class_ids": source.there("dataset.eval_class_ids"),
        "batch_size": source.number(source.shorthand("batch_size", "train_batch_size"))
        or source.number(_batch_size(source)),
        "num_gpus": gpus,
        "gpu_ids": source.there(_join(block, "gpu_ids")),
        "num_nodes": source.number(nodes),
        "seed": source.number("train.seed") or source.number("seed"),
        "results_dir": _results_dir(source),
    }


def _first(source: Source, names: Iterable[str]) -> str | None:
    """The first of the names that the template has, in the block of training before the root."""
    paths = (_join(block, name) for name in names for block in ("train", ""))
    return next((path for path in paths if source.number(path)), None)


def _join(block: str, name: str) -> str:
    return f"{block}.{name}" if block else name


def _batch_size(source: Source) -> str | None:
    """The batch size of training: not one of evaluation, the shallowest first."""
    found = [
        path
        for path in keypath.flatten(source.template)
        if path.rpartition(".")[2] == "batch_size"
        and not any(part in _ACTIONS or _EVALUATION.fullmatch(part) for part in path.split("."))
    ]
    return min(found, key=lambda path: (path.count("."), path), default=None)


def _results_dir(source: Source) -> str:
    """The key that takes the results' folder: the function output_dir says it, or the folder that is made."""
    paths = [path for path, function in source.spec_params.items() if function == "output_dir"]
    paths = paths or [path for path, kind in source.outputs.items() if kind == "folder" and source.there(path)]
    return "results_dir" if "results_dir" in paths or not paths else paths[0]


def _checkpoints(source: Source) -> dict[str, str]:
    """The names that TAO's trainer gives to all its models."""
    return {
        "folder": "train" if _results_dir(source) == "results_dir" else ".",
        "file": "model_epoch_{epoch:03d}_step_{step:05d}.pth",
        "best_file": "model_best_{epoch:03d}.pth",
        "latest": "*_model_latest.pth",
    }


def _data(source: Source) -> dict[str, Any]:
    """The format of the data, where it is one that is looked into."""
    found = re.match(r"coco|odvg", str(source.info.get("data_format")))
    return {"data": {"format": found[0]}} if found else {}


def _launch(source: Source) -> list[dict[str, Any]]:
    """What skill_info.yaml sets in the spec, and no report to a service that asks for an account."""
    stated = [
        {"path": path, "value": word, "why": "skill_info.yaml sets it"}
        for path, word in source.spec_params.items()
        if not _FUNCTION.fullmatch(word) and source.there(path) and keypath.get(source.template, path) != word
    ]
    if keypath.get(source.template, "wandb.enable", False) is not True:
        return stated
    return [*stated, {"path": "wandb.enable", "value": False, "why": "no Weights & Biases account is assumed"}]


def _carry(source: Source) -> list[str]:
    """The structure of the network: single values of the model, but no file of this training."""
    model = source.template.get("model")
    if not isinstance(model, Mapping):
        return []
    leaves = keypath.flatten(model, "model")
    return [path for path in leaves if keypath.valid(path) and not _FILES.fullmatch(path.rpartition(".")[2])]


def _text(info: Mapping[str, Any], name: str) -> str | None:
    value = info.get(name)
    return value if isinstance(value, str) else None
