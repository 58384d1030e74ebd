"""Is a skill folder sound: can its files be read, do they fit each other, and do they give a space to search?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.errors import AutoMLError, UsageError
from tao_automl.search.activity import Activity
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, Parameter, SearchSpace
from tao_automl.tao import keypath, skill, spec
from tao_automl.tao.facts import Facts
from tao_automl.tao.schema import MISSING, Schema
from tao_automl.tao.skill import Action, Skill

TRAIN = "train"
TOKEN = "{config_path}"  # stands in a command for the spec's path


@dataclass(frozen=True)
class Report:
    """One skill folder. `searched` of `tunable` parameters are searched with its template; None: nothing is known.

    `problems` are sentences, each about one file or key. `absent` are actions without files, and why.
    """

    folder: Path
    model: str | None = None
    actions: tuple[str, ...] = ()
    searched: int | None = None
    tunable: int | None = None
    absent: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "model": self.model,
            "actions": list(self.actions),
            "searched": self.searched,
            "tunable": self.tunable,
            "absent": dict(self.absent),
            "problems": list(self.problems),
        }


def check(folder: Path, load: Callable[[Path], Skill] = skill.load) -> Report:
    """Look at everything in a skill folder. It starts and changes nothing, and raises nothing.

    Args:
        load: reads the folder; a bank's own way may lend it facts that stand elsewhere.
    """
    try:
        known = load(folder)
    except AutoMLError as error:
        return Report(folder, problems=(error.message,))
    absent = {name: why for name, why in _failures(folder).items() if name in known.actions}
    problems: list[str] = []
    for name, action in known.actions.items():
        if name not in absent:
            problems += _of_action(known, action)
    if TRAIN not in known.actions:
        return _report(known, absent, [*problems, f"{skill.INFO} has no action '{TRAIN}'"])
    if problems or TRAIN in absent:  # what follows would only say the same again
        return _report(known, absent, problems)
    problems += _of_facts(known)
    if problems:
        return _report(known, absent, problems)
    try:
        space = _space(known)
    except AutoMLError as error:
        return _report(known, absent, [error.message])
    return _report(known, absent, list(_of_space(space, known.schema(TRAIN))), space)


def _report(known: Skill, absent: Mapping[str, str], problems: list[str], space: SearchSpace | None = None) -> Report:
    return Report(
        known.folder,
        known.model,
        tuple(known.actions),
        len(space.parameters) if space else None,
        len(known.schema(TRAIN).default_set) if space else None,
        tuple(absent.items()),
        tuple(dict.fromkeys(problems)),
    )


def _failures(folder: Path) -> dict[str, str]:
    """The actions for which `manifest.json` says why they have no files."""
    try:
        manifest = json.loads((folder / "schemas" / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return {}
    stated = manifest.get("failures") if isinstance(manifest, dict) else None
    return {str(name): str(why) for name, why in stated.items()} if isinstance(stated, dict) else {}


def _of_action(known: Skill, action: Action) -> Iterator[str]:
    if action.command.split().count(TOKEN) != 1:
        yield f"{action.name}: its command must hold {TOKEN} once: {action.command}"
    try:
        schema, template = known.schema(action.name), known.template(action.name)
    except AutoMLError as error:
        yield error.message
        return
    yield from _of_template(action.name, schema, template)
    named = {"input": action.inputs, "output": action.outputs, "spec parameter": action.spec_params}
    for what, paths in named.items():
        for path in paths:
            if not (keypath.valid(path) and schema.has(path)):
                yield f"{action.name}: {what} {path} is not in the {schema.title}"
    for source in action.data_sources:
        part: Any = "a" if set(source.files) == {""} else dict.fromkeys(source.files, "a")
        yield from _unfit(action.name + " data", schema, source.key, [part] if source.as_list else part)


def _of_template(name: str, schema: Schema, template: Mapping[str, Any]) -> Iterator[str]:
    for path, value in keypath.flatten(template).items():
        if keypath.valid(path):
            yield from _unfit(f"{name} template", schema, path, value)
    for path, field in schema.fields.items():
        stated = field.default is not MISSING and keypath.valid(path)
        if stated and keypath.get(template, path, MISSING) is MISSING:
            yield f"{name} template: {path} is missing, whose default is {field.default!r}"


def _unfit(where: str, schema: Schema, path: str, value: Any) -> Iterator[str]:
    try:
        schema.check(path, value)
    except UsageError as error:
        yield f"{where}: {error.message}"


def _of_facts(known: Skill) -> Iterator[str]:
    schema = known.schema(TRAIN)
    for path in dict.fromkeys(_paths(known.facts)):
        if not schema.has(path):
            yield f"{skill.FACTS}: {path} is not in the {schema.title}"
    for item in known.facts.launch:
        if schema.has(item.path):
            yield from _unfit(f"{skill.FACTS}: launch", schema, item.path, item.value)
    for rule in known.facts.require:
        for path in rule.paths():
            if not (path.startswith("data.") or schema.has(path)):
                yield f"{skill.FACTS}: the rule {rule.rule} names {path}, which is not in the {schema.title}"
    if known.automl_enabled and known.facts.metric is None:
        yield f"{skill.FACTS}: nothing says by which metric {known.model} is tuned: write `metrics:`"
    schemas = {name: known.schema(name) for name in known.actions}
    yield from _of_what_follows(known.facts, schemas)
    for name, path in known.shorthand.items():
        if not any(each.has(path) for each in schemas.values()):
            yield f"{name} stands for {path}, which no action has"


def _of_what_follows(facts: Facts, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """What is said of the actions after training is about actions and keys that there are."""
    for fact in facts.after.refusals:
        if fact.action not in schemas:
            yield f"{skill.FACTS}: there is no action {fact.action} to refuse"
            continue
        for path in (*fact.when, *fact.unless):
            if not schemas[fact.action].has(path):
                yield f"{skill.FACTS}: {path} is not in the {schemas[fact.action].title}"
    known = [path for schema in schemas.values() for path in (*schema.fields, *schema.branches)]
    for move in facts.after.moves:
        for end in (move.source, move.target):
            if end not in known and not any(schema.has(end) for schema in schemas.values()):
                yield f"{skill.FACTS}: {end} is carried, which no action has"
    if facts.data.captions is not None and not any(schema.has(facts.data.captions) for schema in schemas.values()):
        yield f"{skill.FACTS}: {facts.data.captions} takes the captions, which no action has"


def _paths(facts: Facts) -> Iterator[str]:
    """Every key of the train spec that automl.yaml names, but for those that only rules name."""
    yield from (path for path in vars(facts.keys).values() if path is not None)
    yield from (item.path for item in facts.launch)
    yield from facts.carry
    yield from (*facts.search.ranges, *facts.search.also, *facts.search.keep)
    for metric in facts.metrics.values():
        yield from metric.needs
    for active in facts.search.active:
        yield active.path
        yield from Activity(active).keys()


def _space(known: Skill) -> SearchSpace:
    """The space of a launch with nothing but the template and the skill's own values."""
    launched = spec.build(known.template(TRAIN), {item.path: item.value for item in known.facts.launch}, {})
    epochs = keypath.get(launched, known.facts.keys.epochs)
    return SearchSpace.build(
        known.schema(TRAIN), launched, known.facts.search, Overrides({}, {}), Limits(epochs=int(epochs))
    )


def _of_space(space: SearchSpace, schema: Schema) -> Iterator[str]:
    for parameter in space.parameters:
        if not _is_finite(parameter):
            yield f"space: {parameter.path} has no finite range: {parameter.low} to {parameter.high}"
    for path in schema.strays:
        yield f"the {schema.title} searches {path} by default, which is no key"
    seen = {parameter.path for parameter in space.parameters} | {entry.path for entry in space.kept if entry.why}
    for path in schema.default_set:
        if path not in seen:
            yield f"space: {path} is neither searched nor kept with a reason"


def _is_finite(parameter: Parameter) -> bool:
    if parameter.choices:
        return True
    low, high = parameter.low, parameter.high
    return low is not None and high is not None and math.isfinite(low) and math.isfinite(high) and low < high
