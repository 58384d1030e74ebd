"""`tao-automl models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options

if TYPE_CHECKING:
    from tao_automl.tao.skill import Skill


@click.command("models")
@_options.json_option
def command(as_json: bool) -> None:
    """List the models that can be tuned.

    TUNABLE counts the parameters that TAO marks as tunable, of all keys of the train spec.
    """
    from tao_automl.cli import _words
    from tao_automl.cli._console import Console
    from tao_automl.cli._tables import Column, Table
    from tao_automl.layout import skills_dir
    from tao_automl.tao import skill

    known = [_facts(item) for item in skill.discover(skills_dir())]
    console = Console()
    if as_json:
        console.document({"schema": 1, "models": known})
        return
    if not known:
        console.say(f"no models in {skills_dir()}", "  tip: TAO_AUTOML_SKILLS_DIR names another folder")
        return
    columns = [
        Column("MODEL"),
        Column("TASK"),
        Column("TUNABLE", right=True),
        Column("METRIC"),
        Column("ACTIONS AFTER TRAINING", elastic=True),
    ]
    rows = [
        [
            item["model"],
            item["title"],
            f"{item['tunable']} of {item['keys']}" if item["runnable"] else "",
            f"{item['direction'][:3]} {item['metric']}",
            " ".join(item["actions"]) if item["runnable"] else f"not runnable: {item['problem']}",
        ]
        for item in known
    ]
    console.out(*Table(columns, rows).lines(console.width))
    example = next((item["model"] for item in known if item["runnable"]), None)
    console.say(
        "",
        _words.count(len(known), "model")
        + (f". What would be searched: tao-automl space {example}" if example else ""),
    )


def _facts(item: Skill) -> dict[str, Any]:
    from tao_automl.errors import AutoMLError

    facts = item.facts
    about: dict[str, Any] = {
        "model": item.model,
        "skill": item.name,
        "title": facts.title,
        "metric": facts.metric,
        "direction": facts.metrics[facts.metric].direction.value,
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
