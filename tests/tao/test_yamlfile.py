from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import ConfigError
from tao_automl.tao import yamlfile

TEXT = """\
model: toy
search:
  ranges:
    train.optim.lr: {low: 1e-5, high: 1.0e-3}
  keep:
    - path: model.width
      why: fixed
date: 2026-11-21
"""


def test_every_key_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "automl.yaml"
    path.write_text(TEXT)
    data, locate = yamlfile.load(path)
    assert data["search"]["ranges"]["train.optim.lr"]["low"] == 1e-5
    assert locate("model") == 1
    assert locate("search.ranges.train.optim.lr.low") == 4
    assert locate("search.keep[0].why") == 7
    assert locate("date") == 8


def test_a_missing_key_is_located_at_the_nearest_key_above() -> None:
    _, locate = yamlfile.loads(TEXT, "x")
    assert locate("search.keep[0].value") == 6
    assert locate("search.keep[7]") == 5
    assert locate("nothing.here") == 1


def test_a_date_stays_text() -> None:
    assert yamlfile.loads("day: 2026-11-21", "x")[0] == {"day": "2026-11-21"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [1, 2", r"x:2:.*expected ',' or '\]'"),
        ("a: 1\na: 2\n", "x:2: key 'a' stands here for the second time"),
        ("a:\n  b: 1\n  c: 3\n  b: 2\n", "x:4: key 'b'"),
        ("a: !!python/object:os.system x", "x:1:"),
        ("a: 0x_", "x: "),
        ("a: \tb\n\tc: d", "x:1:4: "),
        ("a: 1\n--- \nb: 2", "x:2:"),
    ],
)
def test_broken_files_are_refused_with_their_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        yamlfile.loads(text, "x")


def test_an_anchor_that_holds_itself_does_not_hang() -> None:
    data, locate = yamlfile.loads("a: &here\n  b: *here\n", "x")
    assert data["a"]["b"] is data["a"]
    assert locate("a") == 1


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml is missing"):
        yamlfile.load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        yamlfile.load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml is not UTF-8 text"):
        yamlfile.load(tmp_path / "latin.yaml")
    (tmp_path / "zero.yaml").write_bytes(b"a: \x00\n")
    with pytest.raises(ConfigError, match=r"zero\.yaml"):
        yamlfile.load(tmp_path / "zero.yaml")


def test_an_empty_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert yamlfile.load(tmp_path / "empty.yaml")[0] is None


def test_a_list_that_holds_itself_does_not_hang() -> None:
    data, _ = yamlfile.loads("a: &here [1, *here]\n", "x")
    assert data["a"][1] is data["a"]


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)


@given(_PLAIN)
def test_the_quick_way_reads_the_same(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("quick") / "a.yaml"
    path.write_text(yaml.dump(value, Dumper=yamlfile.Dumper), encoding="utf-8")
    assert yamlfile.data(path) == yamlfile.load(path)[0] == value


@pytest.mark.parametrize("text", ["a: 1e-4", "a: 2026-01-02", "a: 1_000", "a: yes", "a: '1e-4'", "", "a: [1e5, .5e3]"])
def test_the_quick_way_knows_the_same_numbers_and_dates(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert yamlfile.data(tmp_path / "a.yaml") == yamlfile.loads(text, "a")[0]


@pytest.mark.parametrize("text", ["a: [", "a: 1\n\tb: 2", "a: !!python/object:x {}", "a: &x [*y]", "a: 0x_"])
def test_the_quick_way_names_what_is_broken(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml"):
        yamlfile.data(tmp_path / "a.yaml")
