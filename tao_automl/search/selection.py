"""Which leaves of a schema are searched, and why each other one of the default set is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tao_automl.errors import SkillError, UsageError, near
from tao_automl.search import coupled, ranges, rules, stated
from tao_automl.search.activity import Activity
from tao_automl.search.overrides import Choices, Overrides, Range
from tao_automl.search.parameter import Encoding, Kept, Parameter
from tao_automl.search.roles import Scope, role_of
from tao_automl.search.stated import Stated
from tao_automl.tao import keypath
from tao_automl.tao.facts import ActiveFact, RangeFact, SearchFacts
from tao_automl.tao.schema import MISSING, Condition, Field, Schema

# Blocks of a spec that belong to one action of TAO; every action reads `train`.
_ACTIONS = frozenset(
    {"distill", "quantize", "evaluate", "inference", "export", "gen_trt_engine", "prune", "dataset_convert"}
)
# `val_base` is a value where a schedule begins, not one of validation.
_EVALUATION = re.compile(r"(?!val_(?:base|start|final)$)(val|validation|test|infer|eval|evaluation|inference)_.*")
_DIVISIBLE = re.compile(r"(?:divisible by|multiple of)\W{1,3}(\w[\w.]*\w|\d)")
_SWITCHES = ("enable", "enabled")  # of the group they stand in
_STEERING = ("learning rate", "weight decay", "milestones within the epochs")  # roles that decide what is learned
_INSTEAD = "searched because nothing else of the default set steers the training"


@dataclass(frozen=True)
class Question:
    """All that decides over the leaves: what TAO says, what we add, what the user says, what is launched."""

    schema: Schema
    launched: Mapping[str, Any]
    facts: SearchFacts
    overrides: Overrides
    scope: Scope

    def value(self, path: str) -> Any:
        """The launched value of a path, None if it is absent."""
        return keypath.get(self.launched, path, None) if keypath.valid(path) else None

    def has(self, path: str) -> bool:
        """Whether the launched spec holds the path."""
        return keypath.valid(path) and keypath.get(self.launched, path, MISSING) is not MISSING

    def wanted(self, path: str) -> bool:
        """Whether somebody asked for the path, beyond the default set."""
        return path in self.overrides.search or path in self.facts.also


def select(question: Question) -> tuple[dict[str, Parameter], tuple[Kept, ...]]:
    """Parameters by path, and what is kept, in the order of the paths.

    Raises:
        UsageError: a key that cannot be searched as the user asked.
        SkillError: `automl.yaml` names a key that the schema does not have.
    """
    _check_names(question)
    overrides, schema = question.overrides, question.schema
    found: dict[str, Parameter] = {}
    kept: dict[str, str] = dict(overrides.keep)
    paths = {*schema.default_set, *question.facts.also, *overrides.search} - set(overrides.keep)
    for path in sorted(paths):
        field = schema.fields[path]
        reason = _reason(question, field)
        answer = reason if reason is not None else _parameter(question, field)
        if isinstance(answer, Parameter):
            found[path] = answer
        else:
            _refuse_if_named(question, path, answer)
            kept[path] = answer
    kept.update(_drop_inactive(question, found))
    if not _steers(found) and schema.default_set and not (overrides.search or overrides.keep):
        found.update(_instead(question, {*found, *kept}))
    found.update(coupled.by_ratio(found, overrides))
    listed = (Kept(path, question.value(path), why) for path, why in sorted(kept.items()))
    return found, tuple(listed)


def _steers(found: Mapping[str, Parameter]) -> bool:
    """Whether anything is searched but how large a batch is."""
    return any(role_of(path, parameter.type == "int").name != "batch size" for path, parameter in found.items())


def _instead(question: Question, known: set[str]) -> dict[str, Parameter]:
    """What TAO does not mark as searched although it decides what is learned, for want of anything else."""
    found: dict[str, Parameter] = {}
    for path, field in question.schema.fields.items():
        if path in known or not path.startswith("train.") or _reason(question, field) is not None:
            continue
        if role_of(path, field.type == "int").name in _STEERING and field.type in ("int", "float"):
            answer = _parameter(question, field)
            if isinstance(answer, Parameter):
                found[path] = replace(answer, why="; ".join(part for part in (answer.why, _INSTEAD) if part))
    _drop_inactive(question, found)
    return found


def _check_names(question: Question) -> None:
    schema = question.schema
    searchable = [path for path, field in schema.fields.items() if field.automl_enabled is not False]
    for path in question.overrides.search:
        if path not in schema.fields and path not in schema.branches:
            raise UsageError(f"{path} is not in the {schema.title}", near(path, searchable))
        schema.field(path)
    for path in question.overrides.keep:
        schema.field(path)
    for path in (*question.facts.also, *question.facts.ranges):
        if path not in schema.fields:
            raise SkillError(
                f"automl.yaml searches {path}, which is not in the {schema.title}", near(path, schema.fields)
            )


def _reason(question: Question, field: Field) -> str | None:
    """Why a leaf is not searched whatever its range; what was asked for passes all but the first four."""
    path, asked = field.path, question.wanted(field.path)
    if not keypath.valid(path):
        return "its name is no key path"
    if field.automl_enabled is False:
        return "the schema marks it automl_enabled: false"
    if path in question.facts.keep:
        return question.facts.keep[path]
    block = path.split(".", 1)[0]
    if block in _ACTIONS and block != question.schema.action:
        return f"it belongs to the {block} action"
    if any(rule.op == "//" for rule in rules.of_field(field)):
        return f"a fixed share of {field.depends_on[0]}"
    if path.endswith("]") and not question.has(path):
        return "the launched list has no such element"
    if asked:
        return None
    if not question.has(path):
        return "absent from the launched spec"
    if any(_EVALUATION.fullmatch(part) for part in path.split(".")):
        return "evaluation only: it changes how a model is measured, not what is learned"
    value = question.value(path)
    if value == "???" or (value is None and None not in (field.choices or ())):
        return "its launched value is " + ("not set yet (???)" if value else "null")
    if path in question.facts.ranges:
        return None
    return role_of(path, field.type == "int").keep


def _parameter(question: Question, field: Field) -> Parameter | str:
    value = question.value(field.path) if question.has(field.path) else MISSING
    unset = value is None and None not in (field.choices or ())
    launched = None if value is MISSING or unset or value == "???" else value
    given = _stated(question, field.path)
    if given is None:
        answer = ranges.automatic(_with_text(question, field), launched, question.scope)
    else:
        answer = _within_data(stated.stated(question.schema, field, launched, given), given, question.scope)
    text = isinstance(launched, str) and field.type in ("int", "float")
    if isinstance(answer, Parameter) and value is not MISSING and (launched is None or text):
        note = f"launched {'as text' if text else 'without a value'}; trial 0 takes {answer.default}"
        return replace(answer, why="; ".join(part for part in (answer.why, note) if part))
    return answer


def _with_text(question: Question, field: Field) -> Field:
    """The field with the multiple that only its description states: `divisible by dataset.split`."""
    match = _DIVISIBLE.search(field.description or "")
    if not match or field.type != "int" or any(item.op == "multiple" for item in field.conditions):
        return field
    beside = f"{field.path.rpartition('.')[0]}.{match[1]}"
    value = int(match[1]) if match[1].isdigit() else question.value(match[1]) or question.value(beside)
    if isinstance(value, bool) or not isinstance(value, int) or value < 2:
        return field
    return replace(field, conditions=(*field.conditions, Condition("multiple", value)))


def _stated(question: Question, path: str) -> Stated | None:
    wanted = question.overrides.search.get(path)
    if wanted is not None and not (isinstance(wanted, Range) and wanted.ratio):
        return Stated(wanted, "--search")
    fact = question.facts.ranges.get(path)
    return Stated(_as_range(fact), "automl.yaml", fact.why or "") if fact is not None else None


def _as_range(fact: RangeFact) -> Range | Choices:
    if fact.choices is not None:
        return Choices(fact.choices)
    assert fact.low is not None
    assert fact.high is not None
    return Range(fact.low, fact.high, fact.log, fact.step)


def _within_data(parameter: Parameter, given: Stated, scope: Scope) -> Parameter | str:
    """A stated range of a batch size, limited to what the data fill."""
    largest = scope.largest_batch
    batch = role_of(parameter.path, whole=True).encoding is Encoding.LOG2
    if not batch or largest is None or parameter.high is None or parameter.high <= largest:
        return parameter
    if given.origin == "--search":
        raise UsageError(
            f"a batch of {parameter.high:g} is more than the data fill: {largest} samples a GPU",
            f"end the range of {parameter.path} at {largest}",
        )
    choices = tuple(value for value in parameter.choices or () if value <= largest)
    if len(choices) < 2:
        return f"the data fill no batch of its range: {largest} samples a GPU"
    centre = parameter.default if parameter.default in choices else choices[-1]
    return replace(parameter, choices=choices, low=choices[0], high=choices[-1], default=centre)


def _refuse_if_named(question: Question, path: str, reason: str) -> None:
    if path in question.overrides.search:
        rangeless = question.overrides.search[path] is None
        tip = f"state a range: --search {path}=LOW..HIGH" if rangeless else "leave it out of --search"
        if path in question.facts.keep or question.schema.fields[path].automl_enabled is False:
            tip = "leave it out of --search; --set gives it a value"
        raise UsageError(f"{path} cannot be searched: {reason}", tip)


def _drop_inactive(question: Question, found: dict[str, Parameter]) -> dict[str, str]:
    """Takes out of `found` what another value of the spec switches off; returns the reasons.

    What depends on a searched value becomes conditional. Dropping one parameter may settle the condition of
    the next, so this goes on until nothing changes.
    """
    dropped: dict[str, str] = {}
    conditions = {path: tuple(_activities(question, path)) for path in found}
    changed = True
    while changed:
        free = frozenset(found)
        off = {
            path: next((item for item in conditions[path] if not item.possible(question.value, free)), None)
            for path in found
        }
        for path, activity in off.items():
            if activity is None:
                continue
            reason = activity.reason(question.value)
            if path in question.overrides.search:
                raise UsageError(f"{path} has {reason}", activity.tip(question.value))
            dropped[path] = reason
            del found[path]
        changed = any(off.values())
    for path, parameter in list(found.items()):
        searched = tuple(item for item in conditions[path] if set(item.keys()) & set(found))
        found[path] = replace(parameter, active=searched)
    return dropped


def _activities(question: Question, path: str) -> Iterator[Activity]:
    yield from (Activity(fact) for fact in question.facts.active if fact.path == path)
    parts = path.split(".")
    for length in range(1, len(parts)):
        for name in _SWITCHES:
            switch = ".".join([*parts[:length], name])
            field = question.schema.fields.get(switch)
            if field is not None and switch != path and isinstance(question.value(switch), bool):
                yield Activity(ActiveFact(path, when=({switch: True},)))
