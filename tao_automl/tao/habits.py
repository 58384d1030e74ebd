"""Rules of a search that hold for all of TAO's models: which parameters another one switches off.

They are told from names and options, as `automl.yaml` would state them for one model. An option that is not
known switches nothing off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tao_automl.tao import keypath
from tao_automl.tao.schema import Schema

_WITHOUT_MOMENTUM = re.compile(r"(?!.*lars).*(adam|lamb|lion|adagrad|adadelta|adafactor).*", re.I)
_OPTIMIZER = ("optimizer", "optim", "optim_type", "optimizer_type", "type", "name")
_SCHEDULER = ("lr_scheduler", "scheduler", "lr_schedule", "lr_policy", "policy")
_MILESTONES = ("lr_steps", "steps", "milestones", "decay_step_list")
_STEP = ("lr_step_size", "step_size")
_DECAY = ("lr_decay", "gamma")


def search(schema: Schema, template: Mapping[str, Any], epochs: str | None) -> dict[str, Any]:
    """The `search` part of an `automl.yaml`: `active` and `rules`."""
    found = {"active": list(_active(schema, template, epochs)), "rules": list(_rules(schema, template))}
    return {name: entries for name, entries in found.items() if entries}


def _active(schema: Schema, template: Mapping[str, Any], epochs: str | None) -> Iterator[dict[str, Any]]:
    for path in schema.fields:
        if not keypath.valid(path):
            continue
        block, _, name = path.rpartition(".")
        if name == "momentum":
            yield from _momentum(path, block, schema, template)
        elif name in _STEP and (scheduler := _beside(block, _SCHEDULER, template)):
            options = [option for option in _options(scheduler, schema, template) if not _stepwise(option)]
            yield from _unless(path, scheduler, options)
        elif name in _DECAY and epochs:
            yield from _decay(path, block, schema, template, epochs)
        elif name.startswith("train_random_crop") and (fixed := _beside(block, ("fixed_random_crop",), template)):
            yield {"path": path, "when": {fixed: None}}


def _momentum(path: str, block: str, schema: Schema, template: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    optimizer = _beside(block, _OPTIMIZER, template) or _above(block, template)
    if optimizer:
        options = _options(optimizer, schema, template)
        yield from _unless(path, optimizer, [option for option in options if _WITHOUT_MOMENTUM.fullmatch(option)])


def _decay(path: str, block: str, schema: Schema, template: Mapping[str, Any], epochs: str) -> Iterator[dict[str, Any]]:
    """A factor that acts at milestones needs one that is reached, under a scheduler that has any."""
    milestones, step = _beside(block, _MILESTONES, template), _beside(block, _STEP, template)
    scheduler = _beside(block, _SCHEDULER, template)
    reached = {key: {key: f"< {epochs}"} for key in (milestones, step) if key}
    if not reached:
        return
    if not scheduler:
        yield {"path": path, "when": list(reached.values())}
        return
    when: list[dict[str, Any]] = []
    for option in _options(scheduler, schema, template):
        key = milestones if _at_milestones(option) else step if _stepwise(option) else None
        if key:
            when.append({scheduler: option, **reached[key]})
        elif not _without_decay(option):
            when.append({scheduler: option})
    if when:
        yield {"path": path, "when": when}


def _unless(path: str, key: str, options: Iterable[str]) -> Iterator[dict[str, Any]]:
    entries = [{key: option} for option in options]
    if entries:
        yield {"path": path, "unless": entries}


def _rules(schema: Schema, template: Mapping[str, Any]) -> Iterator[str]:
    for path, field in schema.fields.items():
        block, _, name = path.rpartition(".")
        if name == "num_select" and len(field.depends_on) == 1 and field.depends_on[0] in schema.fields:
            yield f"{path} <= {field.depends_on[0]}"
        resize = f"{block}.train_random_resize"
        if name == "train_random_crop_min" and resize in schema.fields and _list_of_numbers(template, resize):
            yield f"{path} <= {resize}"


def _beside(block: str, names: Iterable[str], template: Mapping[str, Any]) -> str | None:
    """The first of the names that stands in the same group of the spec."""
    paths = (f"{block}.{name}" if block else name for name in names)
    return next((path for path in paths if _present(template, path)), None)


def _above(block: str, template: Mapping[str, Any]) -> str | None:
    """The optimizer's name beside its arguments, or one group up: `train.optim_type`, `train.optimizer.type`."""
    parent = block.rpartition(".")[0]
    return next(
        (path for name in _OPTIMIZER[:4] if parent and isinstance(_value(template, path := f"{parent}.{name}"), str)),
        None,
    )


def _options(path: str, schema: Schema, template: Mapping[str, Any]) -> list[str]:
    """What a text may be: the schema's options and the launched one, which need not be among them."""
    field = schema.fields.get(path)
    known = [*(field.choices or () if field else ()), _value(template, path)]
    return list(dict.fromkeys(option for option in known if isinstance(option, str) and option))


def _stepwise(option: str) -> bool:
    return "step" in option.lower() and not _at_milestones(option)


def _at_milestones(option: str) -> bool:
    return "multi" in option.lower()


def _without_decay(option: str) -> bool:
    return bool(re.fullmatch(r".*(cos|linear|poly|onecycle|warmup|none|constant|cyclic).*", option, re.I))


def _value(template: Mapping[str, Any], path: str) -> Any:
    return keypath.get(template, path, None) if keypath.valid(path) else None


def _present(template: Mapping[str, Any], path: str) -> bool:
    return keypath.valid(path) and keypath.get(template, path, _ABSENT) is not _ABSENT


def _list_of_numbers(template: Mapping[str, Any], path: str) -> bool:
    value = _value(template, path)
    return isinstance(value, list) and bool(value) and all(isinstance(item, (int, float)) for item in value)


_ABSENT = object()
