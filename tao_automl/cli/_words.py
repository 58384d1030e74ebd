"""How values are written for people: numbers, times, states, paths, short names."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text

STATES: Mapping[str, tuple[str, str]] = {  # Optuna's state: our word for it, its colour
    "COMPLETE": ("complete", "green"),
    "PRUNED": ("pruned", "yellow"),
    "FAIL": ("failed", "red"),
    "RUNNING": ("running", "cyan"),
    "WAITING": ("waiting", "dim"),
}
BAR_WIDTH = 10


def state(name: str) -> Text:
    word, style = STATES.get(name, (name.lower(), ""))
    return Text(word, style=style)


def metric(value: float | None) -> str:
    """A metric, with four decimals where these say something."""
    if value is None:
        return ""
    small = value != 0 and abs(value) < 0.001
    return f"{value:.3g}" if small or abs(value) >= 10_000 else f"{value:.4f}"


def value(item: Any, digits: int = 6) -> str:
    """A parameter or a setting."""
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, float):
        return f"{item:.{digits}g}" if math.isfinite(item) else str(item)
    if isinstance(item, Path):
        return path(item)
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(value(part, digits) for part in item) + "]"
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{key}: {value(part, digits)}" for key, part in item.items()) + "}"
    return str(item)


def duration(time_s: float | None) -> str:
    """40s, 3m12s, 3h12m, 2d3h."""
    if time_s is None:
        return ""
    whole = round(time_s)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def ago(moment: datetime | None, now: datetime) -> str:
    return f"{duration(max(0.0, (now - moment).total_seconds()))} ago" if moment else ""


def size(size_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def path(where: Path) -> str:
    """Relative to the working directory where it lies below it."""
    here = Path(os.path.abspath(where))  # noqa: PTH100 resolve() would follow the link that is shown
    return here.relative_to(Path.cwd()).as_posix() if here.is_relative_to(Path.cwd()) else str(here)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def bar(done: int, total: int | None, *, unicode: bool) -> str:
    """`━━━━╌╌╌╌╌╌  4/10`."""
    if not total:
        return str(done)
    full, empty = ("━", "╌") if unicode else ("#", "-")
    length = min(BAR_WIDTH, BAR_WIDTH * done // total)
    return f"{full * length}{empty * (BAR_WIDTH - length)} {done:>{len(str(total))}}/{total}"


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Each path by its last part, or by as many of its last parts as tell it from the others."""
    known = list(paths)
    named = {}
    for item in known:
        parts = item.split(".")
        for length in range(1, len(parts) + 1):
            tail = "." + ".".join(parts[-length:])
            if sum(("." + other).endswith(tail) for other in known) == 1:
                break
        named[item] = tail[1:]
    return named


def most_varied(configs: Sequence[Mapping[str, Any]], number: int = 3) -> list[str]:
    """The paths whose values differ most over the trials, the most varied first."""
    paths = dict.fromkeys(path for config in configs for path in config)
    spread = {item: _spread([config[item] for config in configs if item in config]) for item in paths}
    ranked = sorted((item for item in paths if spread[item] > 0), key=lambda item: -spread[item])
    return ranked[:number]


def _spread(values: Sequence[Any]) -> float:
    numbers = [item for item in values if isinstance(item, (int, float)) and not isinstance(item, bool)]
    if len(numbers) < len(values) or not numbers:
        return 1.0 if len({str(item) for item in values}) > 1 else 0.0
    low, high = min(numbers), max(numbers)
    if low > 0:
        return math.log(high / low)
    return (high - low) / max(abs(low), abs(high)) if high > low else 0.0
