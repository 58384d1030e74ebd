"""How a spec's learning rates change with the epoch, and what becomes of that in a training of another length.

Some schedules do not know how long the training is: at milestones, every so many epochs, or when nothing improves. A
shorter training is then the beginning of a longer one, and resuming it gives the longer one exactly. Others (cosine,
linear, polynomial …) end where the training ends: a shorter one is another training. Nothing here knows a model: keys
are told by the names that TAO's specs use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tao_automl.tao import keypath
from tao_automl.tao.facts import Keys

_SCHEDULER = re.compile(r"lr_scheduler|scheduler|lr_schedule|lr_policy|policy")
_MILESTONES = re.compile(r"lr_steps|milestones|decay_step_list|lr_milestones")
_STEP = re.compile(r"lr_step_size|step_size")
_WARM_UP = re.compile(r"(.*_)?warm_?up_(epochs?|iters|steps)")
# Options whose rates depend on the epoch alone, not on how many there are to come.
_OPEN_ENDED = re.compile(r".*(step|constant|none|plateau|autoreduce|exponential).*", re.I)


def is_open_ended(spec: Mapping[str, Any], options: Mapping[str, Iterable[Any]] | None = None) -> bool:
    """True if the learning rate of an epoch does not depend on the number of epochs.

    A spec that names no schedule, but milestones, has one at milestones; one that names nothing may do anything.

    Args:
        options: what a search may put in the place of a value, by key path.
    """
    leaves = keypath.flatten(spec)
    named = [path for path, value in leaves.items() if _SCHEDULER.fullmatch(_name(path)) and isinstance(value, str)]
    if not named:
        return any(_MILESTONES.fullmatch(_name(path)) and _is_milestones(value) for path, value in leaves.items())
    values = [value for path in named for value in (leaves[path], *((options or {}).get(path) or ()))]
    return all(_OPEN_ENDED.fullmatch(str(value)) for value in values)


def rescaled(spec: Mapping[str, Any], written_for: int, epochs: int) -> dict[str, Any]:
    """Milestones, step sizes and warm-up as the same fractions of another number of epochs, by key path.

    Only what changes is named. None becomes shorter than one epoch, and milestones stay in order.
    """
    factor = epochs / written_for
    found: dict[str, Any] = {}
    for path, value in keypath.flatten(spec).items():
        name = _name(path)
        if _MILESTONES.fullmatch(name) and _is_milestones(value):
            found[path] = sorted({_scaled(item, factor) for item in value})
        elif (_STEP.fullmatch(name) or _WARM_UP.fullmatch(name)) and _is_count(value):
            found[path] = _scaled(value, factor)
    return {path: value for path, value in found.items() if value != keypath.get(spec, path)}


def continued(spec: Mapping[str, Any], done: int) -> dict[str, Any]:
    """What a training needs that begins again after `done` epochs with a fresh optimizer, by key path.

    It counts its epochs from 0: milestones move nearer, those that have passed are gone, and it is warm already.
    """
    found: dict[str, Any] = {}
    for path, value in keypath.flatten(spec).items():
        name = _name(path)
        if _MILESTONES.fullmatch(name) and _is_milestones(value):
            found[path] = [item - done for item in value if item > done] or [max(value) + 1]
        elif _WARM_UP.fullmatch(name) and _is_count(value):
            found[path] = 0
    return {path: value for path, value in found.items() if value != keypath.get(spec, path)}


def intervals(keys: Keys, spec: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """Both intervals such that the last of `epochs` is validated and saved, by key path.

    TAO refuses an interval that is longer than the training, and saves nothing extra at its end.
    """
    if keys.validation_interval is None or keys.checkpoint_interval is None:
        return {}
    validate = keypath.get(spec, keys.validation_interval, None)
    save = keypath.get(spec, keys.checkpoint_interval, None)
    if not (_is_count(validate) and _is_count(save)):
        return {}
    wanted = next(step for step in range(min(validate, epochs), 0, -1) if epochs % step == 0)
    return {keys.validation_interval: wanted, keys.checkpoint_interval: math.gcd(save, wanted)}


def _scaled(value: int, factor: float) -> int:
    return max(1, math.floor(value * factor + 0.5))


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_milestones(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(_is_count(item) for item in value)
