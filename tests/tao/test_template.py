from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import ConfigError, SkillError
from tao_automl.tao import template

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SPEC = {"results_dir": "/r", "train": {"lr": 1e-05, "epoch": 2, "resume": False, "betas": [0.9, 0.999]}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.yaml", "results_dir: /r\ntrain: {lr: 1e-5, epoch: 2, resume: false, betas: [0.9, 0.999]}\n"),
        ("spec.toml", 'results_dir = "/r"\n[train]\nlr = 1e-05\nepoch = 2\nresume = false\nbetas = [0.9, 0.999]\n'),
        ("spec.json", json.dumps(SPEC)),
    ],
)
def test_each_format_reads_as_the_same_spec(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert template.load(tmp_path / name) == SPEC


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "a: [", r"a\.yaml:1"),
        ("a.toml", "a = 1\nb = \n", r"a\.toml: broken TOML: .*line 2"),
        ("a.json", '{"a":\n oops}', r"a\.json:2:2: broken JSON"),
        ("a.json", "[" * 100_000, r"a\.json: unreadable JSON"),
    ],
)
def test_a_broken_text_is_named_with_its_place(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=words):
        template.load(tmp_path / name)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        template.load(tmp_path / "a.toml")


def test_a_template_is_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(SkillError, match="is no spec"):
        template.load(tmp_path / "a.json")


def test_toml_has_no_null() -> None:
    written = template.dumps_toml({"a": None, "b": {"c": None, "d": 1}, "e": [{"f": None, "g": 2}]})
    assert tomllib.loads(written) == {"b": {"d": 1}, "e": [{"g": 2}]}
    with pytest.raises(ConfigError, match=r"b\.c holds null"):
        template.dumps_toml({"b": {"c": [1, None]}})


_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), below, max_size=3),
    max_leaves=9,
)


@given(st.dictionaries(st.text(min_size=1, max_size=5), _VALUES, max_size=4))
def test_what_is_written_is_read_back(spec: dict) -> None:
    assert tomllib.loads(template.dumps_toml(spec)) == spec
    assert json.loads(template.dumps_json(spec)) == spec
