"""Settings with their origin: flag > environment > study file > platform > default.

`KEYS` is the one table of everything a user may set. The flag, the variable TAO_AUTOML_<KEY> and the key in
a file have the same name and are read by the same function, so a value means the same wherever it stands.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.errors import ConfigError, UsageError, near

_TIME = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = {
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(  # a word of the name that only secrets have: HF_TOKEN, but not TOKENIZERS_PARALLELISM
    r"(^|_)([A-Z0-9]*(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|APIKEY|ACCESSKEY)|KEY|(?<=_)PWD)(_|$)",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
_OURS = re.compile(  # what a launcher, Ray or the engine sets: a value from outside breaks the job
    r"WORLD_SIZE|RANK|LOCAL_RANK|NODE_RANK|MASTER_(ADDR|PORT)|NUM_GPU_PER_NODE|JOB_ID|CLOUD_BASED"
    r"|(CUDA|NVIDIA|TAO)_VISIBLE_DEVICES"
)


class RefusedError(ValueError):
    """A value that cannot be taken, with a tip of its own."""

    def __init__(self, message: str, tip: str) -> None:
        super().__init__(message)
        self.tip = tip


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a word")
    return value.strip()


def _name(value: Any) -> str:
    if not _NAME.fullmatch(text := _text(value)):
        raise ValueError("may hold letters, digits, '-', '_' and '.', 64 at most, and starts with a letter or digit")
    return text


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser().absolute()


def _integer(low: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value).strip()):
            raise ValueError("is not a whole number")
        if int(value) < low:
            raise ValueError(f"is below {low}")
        return int(value)

    return read


def _gpus(value: Any) -> int | float:
    """Whole devices, or a share of one: 0, 2, 0.5."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        raise ValueError("is neither a whole number of GPUs nor a share of one, such as 0.5")
    count = float(text)
    if count > 1 and not count.is_integer():
        raise ValueError("is not a whole number; only a share of one GPU, below 1, may be a fraction")
    return count if 0 < count < 1 else int(count)


def seconds(value: Any) -> float:
    """A duration: `90`, `90s`, `30m`, `8h`, `1h30m`, `2d`. In seconds."""
    text = str(value).strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("is not a duration such as 90s, 30m, 8h or 1h30m")
    total = sum(float(number) * _TIME[unit or "s"] for number, unit in parts)
    if not total > 0:
        raise ValueError("is not above zero")
    return total


def size_bytes(value: Any) -> int:
    """A size: `500 MiB`, `2GB`, `4096`. In bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?i?b?)", str(value).strip().lower().replace(" ", ""))
    unit = (match[2] or "b") if match else ""
    if not match or unit not in _SIZE:
        raise ValueError("is not a size such as 500 MiB or 2 GB")
    return math.ceil(float(match[1]) * _SIZE[unit])


def without_password(url: str) -> str:
    """A storage URL as it may be shown and stored: the password has to come from the environment again."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1@", url)


def _one_of(*words: str, **older: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        text = older.get(text, text)
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return text

    return read


def _kept_checkpoints(value: Any) -> int | str:
    if value == "all":
        return "all"
    try:
        return _integer(1)(value)
    except ValueError:
        raise ValueError("is neither 'all' nor a number of trials") from None


def _mapping(value: Any) -> dict[str, Any]:
    """`{key: value}` in a file, `KEY=VALUE` (or a list of them) as a flag."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    pairs: dict[str, Any] = {}
    for item in _list(value):
        key, equals, text = str(item).partition("=")
        if not key.strip():
            raise ValueError(f"has an entry without a key: {item}")
        pairs[key.strip()] = text.strip() if equals else None
    return pairs


def _variables(value: Any) -> dict[str, str | None]:
    """Variables of a job by name; None for one whose value is a secret of the environment."""
    return {name: _variable(name, text) for name, text in _mapping(value).items()}


def _variable(name: str, value: Any) -> str | None:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"'{name}' is no name of a variable")
    if _OURS.fullmatch(name):
        raise RefusedError(
            f"{name} is set by tao-automl and the trainer", tip="leave it out; --gpus and --nodes say how many"
        )
    if value is None:
        return None
    if isinstance(value, (bool, list, dict)):
        raise RefusedError(f"{name} has no text as its value", tip="put the value in quotes")
    if _SECRET.search(name) or _PASSWORD_IN_URL.search(str(value)):
        raise RefusedError(
            f"{name} looks like a secret, and values are kept in study.yaml",
            tip=f"name it alone, --env {name}: its value comes from the environment and is written nowhere",
        )
    return str(value)


def _mounts(value: Any) -> list[str]:
    """`HOST[:CONTAINER[:rw]]`, with the folder of this machine made absolute."""
    return [_mount(item) for item in _list(value)]


def _mount(text: str) -> str:
    host, *rest = text.split(":")
    if not host or len(rest) > 2 or (rest and not rest[0].startswith("/")):
        raise ValueError(f"'{text}' is not HOST, HOST:CONTAINER or HOST:CONTAINER:rw, with CONTAINER an absolute path")
    if len(rest) == 2 and rest[1] not in ("ro", "rw"):
        raise ValueError(f"'{text}' ends neither in ro nor in rw")
    return ":".join([str(_path(host)), *rest])


def _list(value: Any) -> list[str]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return [_text(item) for item in items]


def _data(value: Any) -> list[Path | str]:
    """Directories of this machine, or addresses in an object store."""
    return [item if "://" in item else _path(item) for item in _list(value)]


def _roots(value: Any) -> list[Path]:
    """Folders, also as one text in the form of a PATH variable."""
    return [_path(part) for item in _list(value) for part in item.split(os.pathsep) if part.strip()]


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
        Key("model", _text, "Model to tune, as `tao-automl models` names it", metavar="MODEL"),
        Key("skill_dir", _roots, "Folder of a skill, or one that holds skills: TAO's bank", metavar="DIR", many=True, named="SKILLS"),
        Key("name", _name, "Name of the study (default: the model and the time)", metavar="NAME"),
        Key("train_data", _data, "COCO directory or s3:// address to train on: images/ or images.tar.gz, annotations.json", metavar="DIR", many=True),
        Key("val_data", _data, "The same, to validate on", metavar="DIR", many=True),
        Key("num_classes", _integer(1), "Classes of the model (default: highest category id + 1)", metavar="N"),
        Key("trials", _integer(1), "Trials in all", 10, metavar="N", fixed=False),
        Key("time", seconds, "Time in which trials may run, such as 8h", metavar="TIME", fixed=False),
        Key("max_failures", _integer(1), "Failed trials in a row that end the study", 5, metavar="N", fixed=False),
        Key("parallel", _integer(1), "Trials at a time (default: by the machine)", metavar="N", fixed=False),
        Key("epochs", _integer(1), "Epochs of a trial (default: the model's)", metavar="N"),
        Key("gpus", _gpus, "GPUs of a trial on each node: a number, or a share of one such as 0.5", metavar="N", fixed=False),
        Key("nodes", _integer(1), "Nodes of a trial", 1, metavar="N", fixed=False),
        Key("trial_timeout", seconds, "Time that one trial may take, such as 6h", metavar="TIME", fixed=False),
        Key("hang_timeout", seconds, "A trial silent for so long hangs (default: 10 minutes, or 5 epochs if longer)", metavar="TIME", fixed=False),
        Key("metric", _text, "Metric to tune (default: the model's)", metavar="NAME"),
        Key("direction", _one_of("maximize", "minimize"), "Which way is better (default: the metric's)", metavar="maximize|minimize"),
        Key("algorithm", _text, "How configs are proposed: bayesian, bfbo, gp, tpe or random", "bayesian", metavar="NAME"),
        Key("pruner", _text, "How bad trials are stopped early: median or none", "median", metavar="NAME"),
        Key("seed", _integer(0), "Seed of the search", 1, metavar="N"),
        Key("set", _mapping, "Set a key of the spec for every trial", metavar="KEY=VALUE", many=True),
        Key("search", _mapping, "Search a key: KEY, KEY=LOW..HIGH[:log] or KEY=a,b,c", metavar="KEY[=RANGE]", many=True),
        Key("keep", _list, "Do not search a key", metavar="KEY", many=True),
        Key("runtime", _text, "What runs a trial: docker, process or standin", metavar="NAME"),
        Key("platform", _text, "Where trials run: a name in configs/platforms or a file", metavar="NAME", fixed=False),
        Key("address", _text, "A standing Ray cluster (default: Ray on this machine)", metavar="ADDRESS", fixed=False),
        Key("node_gpus", _integer(0), "GPUs that this machine gives (default: all that are found)", metavar="N", fixed=False),
        Key("share_gpus", _one_of("on", "off"), "on: a container may have a share of a GPU", "off", metavar="on|off", fixed=False),
        Key("node_grace", seconds, "Time to wait for a lost node before its trials start elsewhere", 300.0, metavar="TIME", fixed=False),
        Key("image", _text, "Container image, instead of the model's", metavar="IMAGE", fixed=False),
        Key("image_policy", _one_of("missing", "always", "never"), "When an image is pulled", "missing", metavar="missing|always|never", fixed=False),
        Key("shm_size", size_bytes, "Shared memory of a container", 16 * 2**30, metavar="SIZE", fixed=False),
        Key("network", _text, "Network of a container, such as host or none (default: the engine's)", metavar="NAME", fixed=False),
        Key("env", _variables, "Variable of a job: KEY=VALUE, or KEY alone for a secret of the environment", metavar="KEY[=VALUE]", many=True, fixed=False),
        Key("mount", _mounts, "Folder or file that containers also see: HOST[:CONTAINER[:rw]]", metavar="PATHS", many=True, fixed=False),
        Key("storage", _text, "Optuna storage (default: sqlite, studies.db in the studies folder)", metavar="URL", fixed=False),
        Key("studies_dir", _path, "Folder of the studies", Path("studies"), metavar="DIR", fixed=False),
        Key("cache_dir", _path, "Folder on each node for data of object stores (default: ~/.cache/tao-automl)", metavar="DIR", fixed=False),
        Key("upload", _text, "Also copy results and logs to s3://BUCKET/PREFIX, while trials run and after", metavar="URL", fixed=False),
        Key("automl_policy", _one_of("on", "off", auto="on"), "off: one plain training, no search", "on", metavar="on|off"),
        Key("keep_checkpoints", _kept_checkpoints, "Trials whose best checkpoint stays: a number or 'all'", 3, metavar="N|all", fixed=False),
        Key("min_free", size_bytes, "Free room that the studies folder must have", 500 * 2**20, metavar="SIZE", fixed=False),
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
    if key.read in (_mapping, _variables):
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
        tip = error.tip if isinstance(error, RefusedError) else f"{key.about}: {key.flag} {key.metavar}"
        raise kind(f"{layer.name_of(key)}{_shown(key, raw)}: {error}", tip=tip) from None


def _shown(key: Key, raw: Any) -> str:
    """A value as a message repeats it; one that may hold a secret it does not."""
    if key.name == "env":
        return ""
    return " " + (" ".join(map(str, raw)) if isinstance(raw, (list, tuple)) else str(raw))
