"""Settings with their origin: flag > environment > study file > platform > default.

`KEYS` is the one table of everything a user may set. The flag, the variable TAO_AUTOML_<KEY> and the key in
a file have the same name and are read by the same function, so a value means the same wherever it stands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl import values
from tao_automl.errors import ConfigError, UsageError, near


@dataclass(frozen=True)
class Key:
    """One thing a user may set."""

    name: str
    read: Callable[[Any], Any]
    about: str
    default: Any = None
    metavar: str = "TEXT"
    many: bool = False
    fixed: bool = True  # frozen with the study; `resume` may not change it
    alone: str | None = None  # what the flag means without a value
    named: str = ""  # the variable's name, where it is not the key's

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "TAO_AUTOML_" + (self.named or self.name.upper())


KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key("model", values.word, "Model to tune, as `tao-automl models` names it", metavar="MODEL"),
        Key("skill_dir", values.roots, "Folder of a skill, or one that holds skills: TAO's bank", metavar="DIR", many=True, named="SKILLS"),
        Key("name", values.name, "Name of the study (default: the model and the time)", metavar="NAME"),
        Key("train_data", values.data, "COCO directory or s3:// address to train on: images/ or images.tar.gz, annotations.json", metavar="DIR", many=True),
        Key("val_data", values.data, "The same, to validate on", metavar="DIR", many=True),
        Key("num_classes", values.integer(1), "Classes of the model (default: highest category id + 1)", metavar="N"),
        Key("trials", values.integer(1), "Trials in all", 10, metavar="N", fixed=False),
        Key("time", values.seconds, "Time in which trials may run, such as 8h", metavar="TIME", fixed=False),
        Key("target", values.number, "Value of the metric that is good enough: the search ends there", metavar="VALUE", fixed=False),
        Key("plateau", values.integer(1), "Trials in a row without a better one that end the search", metavar="N", fixed=False),
        Key("max_failures", values.integer(1), "Failed trials in a row that end the study", 5, metavar="N", fixed=False),
        Key("parallel", values.integer(1), "Trials at a time (default: by the machine)", metavar="N", fixed=False),
        Key("epochs", values.integer(1), "Epochs of a trial (default: the model's)", metavar="N"),
        Key("gpus", values.gpus, "GPUs of a trial on each node: a number, or a share of one such as 0.5", metavar="N", fixed=False),
        Key("nodes", values.integer(1), "Nodes of a trial", 1, metavar="N", fixed=False),
        Key("trial_timeout", values.seconds, "Time that one trial may take, such as 6h", metavar="TIME", fixed=False),
        Key("hang_timeout", values.seconds, "A trial silent for so long hangs (default: 10 minutes, or 5 epochs if longer)", metavar="TIME", fixed=False),
        Key("metric", values.listed, "Metric to tune (default: the model's); of several each as NAME:maximize or NAME:minimize", metavar="NAME", many=True),
        Key("direction", values.one_of("maximize", "minimize"), "Which way is better (default: the metric's)", metavar="maximize|minimize"),
        Key("constraint", values.listed, "What a measured value must keep to, such as train_time_s<=3600", metavar="NAME<=VALUE", many=True),
        Key("confirm", values.integer(1), "After the search, train the best N configs again with other seeds; their mean decides", metavar="N", fixed=False),
        Key("eval_action", values.word, "Score each trial by this action of its checkpoint instead of its training log", metavar="ACTION", alone="evaluate"),
        Key("baseline", values.one_of("on", "off"), "on: first evaluate the model that every training starts from", "off", metavar="on|off", alone="on"),
        Key("final_evaluation", values.one_of("on", "off"), "on: evaluate the winner's checkpoint at the end", "on", metavar="on|off", fixed=False),
        Key("algorithm", values.word, "How to search: auto, bayesian, bfbo, random, asha, hyperband, hyperband_es, bohb, dehb, pbt, tpe, gp, nsga2", "auto", metavar="NAME"),
        Key("pruner", values.word, "How bad trials are stopped early: curves, asha, hyperband, median or none (default: the algorithm's)", metavar="NAME"),
        Key("min_epochs", values.integer(1), "Epochs of the first rung, where trials are first compared (default: by the epochs)", metavar="N"),
        Key("reduction_factor", values.integer(2), "One of so many trials goes on to the next rung", 3, metavar="N"),
        Key("pbt_interval", values.integer(1), "Epochs between two steps of pbt (default: a fifth of the epochs)", metavar="N"),
        Key("seed", values.integer(0), "Seed of the search", 1, metavar="N"),
        Key("set", values.mapping, "Set a key of the spec for every trial", metavar="KEY=VALUE", many=True),
        Key("search", values.mapping, "Search a key: KEY, KEY=LOW..HIGH[:log|:ratio] or KEY=a,b,c", metavar="KEY[=RANGE]", many=True),
        Key("keep", values.listed, "Do not search a key", metavar="KEY", many=True),
        Key("point", values.points, "Try this config first, after the defaults: KEY=VALUE,KEY=VALUE; the rest as launched", metavar="POINT", many=True),
        Key("warm_start", values.listed, "Learn from an earlier study of the same model: its name, FOLDER/NAME or FILE.db#NAME", metavar="STUDY", many=True),
        Key("runtime", values.word, "What runs a trial: docker, process or standin", metavar="NAME"),
        Key("platform", values.word, "Where trials run: a name in configs/platforms or a file", metavar="NAME", fixed=False),
        Key("address", values.word, "A standing Ray cluster (default: Ray on this machine)", metavar="ADDRESS", fixed=False),
        Key("node_gpus", values.integer(0), "GPUs that this machine gives (default: all that are found)", metavar="N", fixed=False),
        Key("share_gpus", values.one_of("on", "off"), "on: a container may have a share of a GPU", "off", metavar="on|off", fixed=False),
        Key("node_grace", values.seconds, "Time to wait for a lost node before its trials start elsewhere", 300.0, metavar="TIME", fixed=False),
        Key("image", values.word, "Container image, instead of the model's", metavar="IMAGE", fixed=False),
        Key("image_policy", values.one_of("missing", "always", "never"), "When an image is pulled", "missing", metavar="missing|always|never", fixed=False),
        Key("shm_size", values.size_bytes, "Shared memory of a container", 16 * 2**30, metavar="SIZE", fixed=False),
        Key("network", values.word, "Network of a container, such as host or none (default: the engine's)", metavar="NAME", fixed=False),
        Key("env", values.variables, "Variable of a job: KEY=VALUE, or KEY alone for a secret of the environment", metavar="KEY[=VALUE]", many=True, fixed=False),
        Key("mount", values.mounts, "Folder or file that containers also see: HOST[:CONTAINER[:rw]]", metavar="PATHS", many=True, fixed=False),
        Key("storage", values.word, "Optuna storage (default: sqlite, studies.db in the studies folder)", metavar="URL", fixed=False),
        Key("studies_dir", values.path, "Folder of the studies", Path("studies"), metavar="DIR", fixed=False),
        Key("cache_dir", values.path, "Folder on each node for data of object stores (default: ~/.cache/tao-automl)", metavar="DIR", fixed=False),
        Key("upload", values.word, "Also copy results and logs to s3://BUCKET/PREFIX, while trials run and after", metavar="URL", fixed=False),
        Key("automl_policy", values.one_of("on", "off", auto="on"), "off: one plain training, no search", "on", metavar="on|off"),
        Key("keep_checkpoints", values.kept_checkpoints, "Trials whose best checkpoint stays: a number or 'all'", 3, metavar="N|all", fixed=False),
        Key("min_free", values.size_bytes, "Free room that the studies folder must have", 500 * 2**20, metavar="SIZE", fixed=False),
    )
}  # fmt: skip


JOINED = ("env", "mount")  # what a later place adds to, where other keys are replaced


@dataclass(frozen=True)
class Settings:
    """What was asked, resolved: a value for every key of `KEYS`, and where each came from."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def origin(self, name: str) -> str:
        return self.origins[name]

    def named(self, name: str) -> bool:
        """True if a user said it, in whatever place."""
        return self.origins[name] != "default"

    def with_values(self, origin: str, **values: Any) -> Settings:
        """Other values of some keys. Variables and mounts are added to those there are."""
        added = {name: _joined(name, self.values[name], values[name]) for name in JOINED if name in values}
        return Settings({**self.values, **values, **added}, {**self.origins, **dict.fromkeys(values, origin)})


@dataclass(frozen=True)
class Layer:
    """Settings from one place: `where` is said to users, in messages and in `plan`."""

    where: str
    values: Mapping[str, Any]
    locate: Callable[[str], str] | None = None  # key → 'file:line'

    def name_of(self, key: Key) -> str:
        if self.where == "flag":
            return key.flag
        if self.where == "environment":
            return key.variable
        place = self.locate(key.name) if self.locate else self.where
        return f"{place}: {key.name}"


def environment() -> Layer:
    """The layer of TAO_AUTOML_* variables."""
    found = {key.name: os.environ[key.variable] for key in KEYS.values() if os.environ.get(key.variable)}
    return Layer("environment", found)


def resolve(layers: list[Layer]) -> Settings:
    """Merge layers, the strongest first. Mappings and lists merge by entry, everything else by key.

    Raises:
        UsageError: a flag or variable has a value that its key cannot take.
        ConfigError: a file has; the message names file and line.
    """
    values: dict[str, Any] = {name: _default(key) for name, key in KEYS.items()}
    origins = dict.fromkeys(KEYS, "default")
    for layer in reversed(layers):
        for name, raw in layer.values.items():
            if raw is None or raw == ():
                continue
            key = _known(name, layer)
            value = _read(key, raw, layer)
            values[name] = _joined(name, values[name], value)
            origins[name] = layer.where
    return Settings(values, origins)


def _joined(name: str, weaker: Any, stronger: Any) -> Any:
    if isinstance(stronger, dict):
        return {**weaker, **stronger}
    return list(dict.fromkeys([*weaker, *stronger])) if name in ("keep", "mount") else stronger


def _default(key: Key) -> Any:
    if key.read in (values.mapping, values.variables):
        return {}
    if key.many:
        return []
    return key.default.absolute() if isinstance(key.default, Path) else key.default


def _known(name: str, layer: Layer) -> Key:
    if name not in KEYS:
        place = layer.locate(name) if layer.locate else layer.where
        raise ConfigError(f"{place}: '{name}' is not a setting", tip=near(name, KEYS), code="unknown-setting")
    return KEYS[name]


def _read(key: Key, raw: Any, layer: Layer) -> Any:
    try:
        return key.read(raw)
    except ValueError as error:
        kind = UsageError if layer.where in ("flag", "environment") else ConfigError
        tip = error.tip if isinstance(error, values.RefusedError) else f"{key.about}: {key.flag} {key.metavar}"
        raise kind(f"{layer.name_of(key)}{_shown(key, raw)}: {error}", tip=tip) from None


def _shown(key: Key, raw: Any) -> str:
    """A value as a message repeats it; one that may hold a secret it does not."""
    if key.name == "env":
        return ""
    return " " + (" ".join(map(str, raw)) if isinstance(raw, (list, tuple)) else str(raw))
