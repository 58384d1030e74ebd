"""The house rules that a program can check."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tao_automl"
MODULES = sorted(PACKAGE.rglob("*.py"))
OURS = [path for path in MODULES if "standin" not in path.relative_to(PACKAGE).parts[:-1]]
FORBIDDEN_NAMES = {
    "utils",
    "common",
    "helpers",
    "core",
    "manager",
    "engine",
    "brain",
    "base",
    "util",
    "helper",
}


def models() -> list[str]:
    """Every name a shipped skill goes by."""
    folders = [path.name for path in (ROOT / "skills").glob("tao-train-*")]
    short = [name.removeprefix("tao-train-") for name in folders]
    return sorted({*short, *(name.replace("-", "_") for name in short)})


def code_and_strings(path: Path) -> str:
    """A module's source without its docstrings and comments, which may give examples."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def test_model_names_occur_under_skills_only() -> None:
    names = re.compile(r"\b(" + "|".join(map(re.escape, models())) + r")\b(?!\.yaml)")
    allowed = re.compile(r"--model dino|e\.g\. dino")  # a worked example in a tip
    found = {}
    for path in OURS:
        text = allowed.sub("", code_and_strings(path))
        if hits := names.findall(text):
            found[str(path.relative_to(ROOT))] = hits
    assert found == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_has_one_job_and_400_lines_at_most(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_room_is_called_after_nothing_in_particular() -> None:
    parts = {part for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not {part.strip("_") for part in parts} & FORBIDDEN_NAMES


def test_functions_stay_short() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno
    ]
    assert sum(length > 60 for length in lengths) / len(lengths) <= 0.03


def test_most_modules_have_a_test_of_their_name() -> None:
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    sizeable = [path for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 30]
    missing = [str(path.relative_to(PACKAGE)) for path in sizeable if path.stem.strip("_") not in tests]
    assert len(missing) <= 0.25 * len(sizeable), missing


def test_tests_touch_no_private_names() -> None:
    found = {}
    for path in (ROOT / "tests").rglob("*.py"):
        names = [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)
        ]
        hits = {
            ast.unparse(node)
            for node in names
            if re.match(r"_[a-z]", node.attr) and ast.unparse(node.value) not in ("self", "cls", "os")
        }
        if hits:
            found[str(path.relative_to(ROOT))] = hits
    assert found == {}
