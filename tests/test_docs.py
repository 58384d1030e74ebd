"""What the documents say is what the program does."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

from tao_automl import cli
from tao_automl.config import KEYS, Layer, resolve

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "actions.md",
    ROOT / "docs" / "algorithms.md",
    ROOT / "studies" / "README.md",
    ROOT / "docs" / "skills.md",
    *(ROOT / "skills").rglob("*.md"),
]


def commands(path: Path) -> list[list[str]]:
    """Every `tao-automl …` line of a document's code blocks, as words without the comment."""
    blocks = re.findall(r"```(?:bash|sh)?\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    calls = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(call, comments=True)[1:] for call in calls if call.startswith("tao-automl ")]


CALLS = [(path, words) for path in DOCUMENTS for words in commands(path)]


@pytest.mark.parametrize(("path", "words"), CALLS, ids=[" ".join(words) for _, words in CALLS])
def test_a_command_in_a_document_is_one(path: Path, words: list[str]) -> None:
    with click.Context(cli.root) as context:
        command = cli.root.get_command(context, words[0])
        assert command is not None, f"{path.name}: no command {words[0]}"
        known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_names_every_kind_of_command() -> None:
    assert {words[0] for path, words in CALLS if path.name == "README.md"} >= {"run", "plan", "best", "resume", "space"}


def test_the_readmes_links_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads((ROOT / "configs" / "study.schema.json").read_text(encoding="utf-8"))


def test_the_study_files_schema_has_the_keys_of_the_program(schema) -> None:
    said = {name: entry["description"] for name, entry in schema["properties"].items()}
    assert said == {name: key.about for name, key in KEYS.items()}


def test_the_example_in_the_studies_readme_is_a_study_file(schema) -> None:
    text = (ROOT / "studies" / "README.md").read_text(encoding="utf-8")
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    Draft202012Validator(schema).validate(example)
    assert resolve([Layer("file", example)])["trials"] == example["trials"]


@pytest.mark.parametrize(
    "wrong", [{"trails": 3}, {"trials": 0}, {"direction": "up"}, {"name": "a/b"}, {"keep_checkpoints": "some"}]
)
def test_what_the_program_refuses_the_schema_refuses(schema, wrong) -> None:
    assert not Draft202012Validator(schema).is_valid(wrong)
    with pytest.raises(Exception, match=next(iter(wrong))):
        resolve([Layer("file", wrong)])
