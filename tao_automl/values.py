"""Values of settings, read alike whether a flag, a variable of the environment or a file has them.

Each function takes what was written and returns the value; a ValueError says what is wrong with it, as the end of a
sentence that begins with the key.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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


def word(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a word")
    return value.strip()


def name(value: Any) -> str:
    if not _NAME.fullmatch(text := word(value)):
        raise ValueError("may hold letters, digits, '-', '_' and '.', 64 at most, and starts with a letter or digit")
    return text


def path(value: Any) -> Path:
    return Path(word(value)).expanduser().absolute()


def integer(low: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value).strip()):
            raise ValueError("is not a whole number")
        if int(value) < low:
            raise ValueError(f"is below {low}")
        return int(value)

    return read


def number(value: Any) -> float:
    try:
        number = float(str(value).strip())
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError("is not a number")
    return number


def gpus(value: Any) -> int | float:
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


def one_of(*words: str, **older: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        text = older.get(text, text)
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return text

    return read


def kept_checkpoints(value: Any) -> int | str:
    if value == "all":
        return "all"
    try:
        return integer(1)(value)
    except ValueError:
        raise ValueError("is neither 'all' nor a number of trials") from None


def mapping(value: Any) -> dict[str, Any]:
    """`{key: value}` in a file, `KEY=VALUE` (or a list of them) as a flag."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    pairs: dict[str, Any] = {}
    for item in listed(value):
        key, equals, text = str(item).partition("=")
        if not key.strip():
            raise ValueError(f"has an entry without a key: {item}")
        pairs[key.strip()] = text.strip() if equals else None
    return pairs


def variables(value: Any) -> dict[str, str | None]:
    """Variables of a job by name; None for one whose value is a secret of the environment."""
    return {name: _variable(name, text) for name, text in mapping(value).items()}


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


def mounts(value: Any) -> list[str]:
    """`HOST[:CONTAINER[:rw]]`, with the folder of this machine made absolute."""
    return [_mount(item) for item in listed(value)]


def _mount(text: str) -> str:
    host, *rest = text.split(":")
    if not host or len(rest) > 2 or (rest and not rest[0].startswith("/")):
        raise ValueError(f"'{text}' is not HOST, HOST:CONTAINER or HOST:CONTAINER:rw, with CONTAINER an absolute path")
    if len(rest) == 2 and rest[1] not in ("ro", "rw"):
        raise ValueError(f"'{text}' ends neither in ro nor in rw")
    return ":".join([str(path(host)), *rest])


def points(value: Any) -> list[dict[str, Any]]:
    """Mappings of keys to values in a file; `KEY=VALUE,KEY=VALUE` as a flag, one point each."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return [_point(item) for item in items]


def _point(value: Any) -> dict[str, Any]:
    # A comma parts two keys; one inside a list, as in lr_steps=[6,8], is followed by no KEY=.
    pairs = value if isinstance(value, Mapping) else re.split(r",(?=[^,=]+=)", word(value))
    found = mapping(pairs)
    if not found or any(item is None or item == "" for item in found.values() if not isinstance(value, Mapping)):
        raise ValueError("is not KEY=VALUE,KEY=VALUE")
    return found


def listed(value: Any) -> list[str]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return [word(item) for item in items]


def data(value: Any) -> list[Path | str]:
    """Directories of this machine, or addresses in an object store."""
    return [item if "://" in item else path(item) for item in listed(value)]


def roots(value: Any) -> list[Path]:
    """Folders, also as one text in the form of a PATH variable."""
    return [path(part) for item in listed(value) for part in item.split(os.pathsep) if part.strip()]
