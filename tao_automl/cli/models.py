"""`tao-automl models`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options

if TYPE_CHECKING:
    from tao_automl.cli._tables import Column
    from tao_automl.tao.bank import Broken
    from tao_automl.tao.skill import Skill


@click.command("models")
@_options.keys(("skill_dir",))
@_options.json_option
def command(as_json: bool, **flags: Any) -> None:
    """List the models that can be tuned.

    TUNABLE counts the parameters that TAO marks as tunable, of all keys of the train spec. A skill that cannot be
    read is listed with what is wrong with it.
    """
    from tao_automl.cli import _words
    from tao_automl.cli._console import Console
    from tao_automl.cli._tables import Table
    from tao_automl.layout import skills_dir
    from tao_automl.tao.bank import Bank

    roots = (*_options.settings(flags, None)["skill_dir"], skills_dir())
    skills, broken = Bank.of(*roots).all()
    known = sorted([*map(_facts, skills), *map(_problem, broken)], key=lambda item: str(item["model"]))
    console = Console()
    if as_json:
        console.document({"schema": 1, "models": known})
        return
    if not known:
        where = " and ".join(map(str, roots))
        console.say(f"no models in {where}", "  tip: --skill-dir or TAO_AUTOML_SKILLS names more folders")
        return
    console.out(*Table(_columns(), [_row(item) for item in known]).lines(console.width))
    example = next((item["model"] for item in known if item["runnable"]), None)
    console.say(
        "",
        _words.count(len(known), "model")
        + (f". What would be searched: tao-automl space {example}" if example else ""),
    )


def _columns() -> list[Column]:
    from tao_automl.cli._tables import Column

    return [
        Column("MODEL"),
        Column("TASK"),
        Column("TUNABLE", right=True),
        Column("METRIC"),
        Column("ACTIONS AFTER TRAINING", elastic=True),
    ]


def _row(item: Mapping[str, Any]) -> list[str]:
    return [
        item["model"],
        item["title"] or "",
        f"{item['tunable']} of {item['keys']}" if item["runnable"] else "",
        f"{item['direction'][:3]} {item['metric']}" if item["metric"] else "",
        " ".join(item["actions"]) if item["runnable"] else f"not runnable: {item['problem']}",
    ]


def _problem(item: Broken) -> dict[str, Any]:
    unknown = dict.fromkeys(("title", "metric", "direction", "automl_enabled", "tunable", "keys"))
    known = {"model": item.model, "skill": item.folder.name, "folder": str(item.folder)}
    return {**known, **unknown, "actions": [], "runnable": False, "problem": item.error.message}


def _facts(item: Skill) -> dict[str, Any]:
    from tao_automl.errors import AutoMLError

    facts = item.facts
    metric = facts.metrics[facts.metric] if facts.metric is not None else None
    about: dict[str, Any] = {
        "model": item.model,
        "skill": item.name,
        "folder": str(item.folder),
        "title": facts.title,
        "metric": metric and metric.name,
        "direction": metric and metric.direction.value,
        "automl_enabled": item.automl_enabled,
        "actions": [name for name in item.actions if name != "train"],
        "runnable": True,
        "problem": None,
        "tunable": None,
        "keys": None,
    }
    try:
        schema = item.schema("train")
        item.template("train")
    except AutoMLError as error:
        return {**about, "runnable": False, "problem": error.message}
    return {**about, "tunable": len(schema.default_set), "keys": len(schema.fields)}
