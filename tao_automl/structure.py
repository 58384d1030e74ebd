"""What a model's later actions must know of its structure: taken from the specs that led to it.

Taken are the keys that the skill lists, and everything that a spec of the lineage changed in the model and in
what the data looks like. How the model was trained and on which data stays behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tao_automl.launch import is_below
from tao_automl.tao import keypath, spec
from tao_automl.tao.schema import Schema
from tao_automl.tao.skill import Skill

GROUPS = ("model", "dataset")  # what TAO calls the groups that every action reads


def carried(skill: Skill, lineage: Sequence[tuple[str, Mapping[str, Any]]], schema: Schema) -> dict[str, Any]:
    """Values for an action's spec, by key path.

    Args:
        lineage: name and spec of the training and of each action since, the oldest first; a later one counts
            more.
        schema: of the action that takes them over.
    """
    found: dict[str, Any] = {}
    for name, made in lineage:
        if name != "train":
            found = _without_moved(skill, found, skill.schema(name))
        found.update(_of(skill, name, made))
    return _placed(skill, found, schema)


def _of(skill: Skill, name: str, made: Mapping[str, Any]) -> dict[str, Any]:
    """What one spec says of the structure."""
    keys, action = skill.facts.keys, skill.actions[name]
    data = [source.key for item in (skill.actions["train"], action) for source in item.data_sources]
    changed = spec.differences(made, skill.template(name))
    wanted = [path for path in changed if path.split(".", 1)[0] in GROUPS]
    wanted += [path for path in (*skill.facts.carry, keys.num_classes, keys.eval_class_ids, keys.batch_size) if path]
    wanted += [move.source for move in skill.facts.after.moves]
    absent = object()
    values = {path: keypath.get(made, path, absent) for path in dict.fromkeys(wanted)}
    return {
        path: value
        for path, value in values.items()
        if value is not absent
        and not isinstance(value, Mapping)
        and path not in action.inputs
        and (path in skill.facts.carry or not any(is_below(path, source) for source in data))
    }


def _without_moved(skill: Skill, found: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """What an action took over under another name is not what it made: a student is no copy of its teacher."""
    moved = [move.source for move in skill.facts.after.moves if _has(schema, move.target)]
    return {path: value for path, value in found.items() if not any(is_below(path, source) for source in moved)}


def _placed(skill: Skill, found: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Each value where the action has it: under its own name, or where `carry` moves it to; a key of both, at both."""
    moves = [move for move in skill.facts.after.moves if _has(schema, move.target)]
    placed: dict[str, Any] = {}
    for path, value in found.items():
        move = next((move for move in moves if is_below(path, move.source)), None)
        moved = [] if move is None else [move.target + path[len(move.source) :]]
        both = move is None or (path == move.source and path in skill.facts.carry)
        placed.update({target: value for target in (*moved, *([path] if both else ())) if schema.has(target)})
    return placed


def _has(schema: Schema, path: str) -> bool:
    """True for a group, and for a key of one that the schema leaves open."""
    group = path.rpartition(".")[0]
    return any(is_below(known, path) for known in schema.fields) or ("." in group and group in schema.fields)
