"""The search space of a study: what is searched, what is kept and why, and the rules between parameters.

Values are sampled define-by-run, parents first, so that every rule holds by construction. Building is pure;
Optuna is only needed to sample.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tao_automl.search import feasible
from tao_automl.search import rules as rule_book
from tao_automl.search.lists import by_element
from tao_automl.search.overrides import Number, Overrides
from tao_automl.search.parameter import Bounds, Domain, Encoding, Kept, Parameter
from tao_automl.search.roles import Scope, takes_memory
from tao_automl.search.rules import Rule
from tao_automl.search.selection import Question, select
from tao_automl.tao import keypath
from tao_automl.tao.facts import SearchFacts
from tao_automl.tao.schema import MISSING, Schema

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["Kept", "Limits", "Parameter", "Rule", "SearchSpace"]

# How a walk gets the code of a parameter: sampled, stored or its centre; MISSING = none in this trial. It is given
# the parameter, its domain in this trial, and the value that it depends on.
Choose = Callable[[Parameter, Domain, Number], Any]


@dataclass(frozen=True)
class Limits:
    """What a trial has: epochs, samples (the smaller of training and validation; None = unknown), GPUs."""

    epochs: int
    samples: int | None = None
    gpus: int = 1

    @property
    def scope(self) -> Scope:
        """The largest batch leaves every GPU one."""
        largest = None if self.samples is None else self.samples // max(1, self.gpus)
        return Scope(self.epochs, largest)


@dataclass(frozen=True)
class SearchSpace:
    """`parameters` are in the order in which they are sampled. `given` are the launched values that rules and
    conditions look at. `order` holds every searched or following path, parents first.
    """

    parameters: tuple[Parameter, ...]
    kept: tuple[Kept, ...] = ()
    rules: tuple[Rule, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        schema: Schema,
        launched: Mapping[str, Any],
        facts: SearchFacts,
        overrides: Overrides,
        limits: Limits,
    ) -> SearchSpace:
        """The space around a launched spec. Pure.

        Raises:
            UsageError: `--search` or `--keep` asks for what the schema does not allow.
            SkillError: `automl.yaml` names what the schema does not have, or rules that go round in a circle.
        """
        schema, overrides = by_element(schema, launched, overrides)
        found, kept = select(Question(schema, launched, facts, overrides, limits.scope))
        stated = [*rule_book.read(facts.rules, schema)]
        for path in (*found, *(entry.path for entry in kept)):
            stated += rule_book.of_field(schema.fields[path])
        found = feasible.checked(_with_gaps(found, stated), stated, lambda path: _launched(launched, path))
        return cls._assembled(found, kept, tuple(stated), launched)

    @classmethod
    def _assembled(
        cls,
        found: Mapping[str, Parameter],
        kept: tuple[Kept, ...],
        stated: tuple[Rule, ...],
        launched: Mapping[str, Any],
    ) -> SearchSpace:
        parents: dict[str, set[str]] = {path: set() for path in found}
        for rule in stated:
            parents.setdefault(rule.left, set()).update([rule.right] if isinstance(rule.right, str) else [])
        for path, parameter in found.items():
            parents[path].update([parameter.parent] if parameter.parent else [])
            for activity in parameter.active:
                parents[path].update(activity.keys())
        order = rule_book.order(found, parents)
        given = {path: _launched(launched, path) for path in order}
        following = tuple(_following(entry, found, stated) for entry in kept)
        sampled = tuple(replace(found[path], grows=takes_memory(path)) for path in order if path in found)
        return cls(sampled, following, stated, given, order)

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Values of the spec by path for a trial; what the trial has already is kept."""
        return self._walk(lambda parameter, domain, _parent: domain.suggest(trial, parameter.name))

    def decode(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the spec by path that a trial's stored params stand for."""
        return self._walk(lambda parameter, _domain, _parent: params.get(parameter.name, MISSING))

    def centre(self) -> dict[str, Any]:
        """The params of trial 0: the launched values, moved only as far as a rule demands."""
        return self.params(lambda parameter, domain, parent: domain.clip(parameter.encode(parameter.default, parent)))

    def params(self, pick: Choose) -> dict[str, Any]:
        """The params of the point whose codes `pick` gives, parents first; it is asked for active parameters only."""
        params: dict[str, Any] = {}

        def choose(parameter: Parameter, domain: Domain, parent: Number) -> Any:
            params[parameter.name] = pick(parameter, domain, parent)
            return params[parameter.name]

        self._walk(choose)
        return params

    def changed(self, change: Callable[[Parameter, Domain], Any]) -> dict[str, Any]:
        """Params in which each parameter has the code that `change` gives it, moved into its domain; parents first."""
        params: dict[str, Any] = {}

        def choose(parameter: Parameter, domain: Domain, _parent: Number) -> Any:
            params[parameter.name] = domain.clip(change(parameter, domain))
            return params[parameter.name]

        self._walk(choose)
        return params

    def nearest(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Params as a trial would really get them: those that are active, each moved to what the rules allow."""
        found: dict[str, Any] = {}

        def choose(parameter: Parameter, domain: Domain, _parent: Number) -> Any:
            if parameter.name not in params:
                return MISSING
            found[parameter.name] = domain.clip(params[parameter.name])
            return found[parameter.name]

        self._walk(choose)
        return found

    def fingerprint(self) -> str:
        """The same for spaces that can propose the same configs; differs as soon as one could not."""
        known = {
            "parameters": sorted((dict(item.identity()) for item in self.parameters), key=lambda item: item["path"]),
            "rules": sorted(rule.text for rule in self.rules),
            "given": dict(self.given),
        }
        text = json.dumps(known, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """For `space --json`."""
        return {
            "searched": [parameter.as_dict() for parameter in sorted(self.parameters, key=lambda item: item.path)],
            "kept": [{"path": entry.path, "default": entry.default, "why": entry.why} for entry in self.kept],
            "rules": [{"rule": rule.text, "origin": rule.origin} for rule in self.rules],
        }

    @cached_property
    def _by_path(self) -> Mapping[str, Parameter]:
        return {parameter.path: parameter for parameter in self.parameters}

    @cached_property
    def _rules_of(self) -> Mapping[str, tuple[Rule, ...]]:
        return {path: tuple(rule for rule in self.rules if rule.left == path) for path in self.order}

    def _walk(self, choose: Choose) -> dict[str, Any]:
        """Every value in order; one that follows a rule is listed if its parent is searched or it moved."""
        values: dict[str, Any] = {}

        def get(path: str) -> Any:
            return values.get(path, self.given.get(path))

        for path in self.order:
            parameter, own_rules = self._by_path.get(path), self._rules_of[path]
            if parameter is None:
                value = self.given[path]
                for rule in own_rules:
                    value = rule.obeyed(value, get)
                if value != self.given[path] or any(rule.right in values for rule in own_rules):
                    values[path] = value
            elif all(activity.holds(get) for activity in parameter.active):
                parent = get(parameter.parent) if parameter.parent else 0
                limits = rule_book.bounds(own_rules, parameter.type == "int", get)
                code = choose(parameter, parameter.domain(replace(limits, parent=parent)), parent)
                if code is not MISSING:
                    values[path] = parameter.decode(code, parent)
        return values


def _launched(spec: Mapping[str, Any], path: str) -> Any:
    return keypath.get(spec, path, None) if keypath.valid(path) else None


def _with_gaps(found: dict[str, Parameter], stated: Iterable[Rule]) -> dict[str, Parameter]:
    """A parameter that the schema puts above another searched one is sampled as the gap above it."""
    changed = dict(found)
    for rule in stated:
        child, parent = changed.get(rule.left), changed.get(str(rule.right))
        if child is None or parent is None or rule.origin != "schema" or rule.op not in (">", ">="):
            continue
        if child.encoding is not Encoding.PLAIN or None in (child.low, parent.low) or child.choices or parent.choices:
            continue
        changed[child.path] = _above(child, parent, strict=rule.op == ">")
        changed[parent.path] = _with_room(parent, changed[child.path])
    return changed


def _above(child: Parameter, parent: Parameter, strict: bool) -> Parameter:
    """Gaps from one step to the size of the value itself; the launched gap is on their grid."""
    gap = child.default - parent.default
    if child.type == "int":
        step = math.gcd(int(child.step or 1), int(gap)) if gap > 0 else int(child.step or 1)
        first = step if strict else 0
        last = first + max(0, (max(int(child.default), gap) - first) // step) * step
        gaps: tuple[Number, Number] = (first, max(last, first + step))
        grid: int | None = step if step > 1 else None
    else:
        width = float(child.high or 0) - float(child.low or 0)
        first_float = width / 1000 if strict else 0.0
        gaps, grid = (first_float, max(gap, width)), None
    note = child.why
    default = child.default
    if gap < gaps[0]:
        default = parent.default + gaps[0]
        moved = f"trial 0 takes {default:g}: the launched {child.default:g} is not above {parent.path}"
        note = "; ".join(part for part in (note, moved) if part)
    return replace(
        child,
        default=default,
        why=note,
        step=grid,
        log=False,
        encoding=Encoding.GAP,
        parent=parent.path,
        gap=gaps,
        high=max(child.high or default, default),
    )


def _with_room(parent: Parameter, child: Parameter) -> Parameter:
    """The parent with its range ended where the child still fits above it."""
    assert child.gap is not None
    assert child.high is not None
    if parent.encoding is not Encoding.PLAIN:
        return parent
    room = max(child.high - child.gap[0], parent.default)
    domain = parent.domain(Bounds(upper=room))
    return replace(parent, high=domain.high) if domain.high > domain.low else parent


def _following(entry: Kept, found: Mapping[str, Parameter], stated: Iterable[Rule]) -> Kept:
    """A kept parameter says so if it follows a searched one."""
    followed = [rule.text for rule in stated if rule.left == entry.path and rule.right in found]
    return replace(entry, why=f"{entry.why}; follows {', '.join(followed)}") if followed else entry
