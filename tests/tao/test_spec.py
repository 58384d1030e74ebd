from __future__ import annotations

import math
from enum import Enum
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import ConfigError, UsageError
from tao_automl.tao import keypath, spec

text = st.text(max_size=12) | st.sampled_from(
    [
        "1e-5",
        "1E5",
        "1_0e3",
        "yes",
        "null",
        "~",
        "",
        "0x1F",
        "1:30",
        "2026-11-21",
        "=",
        "<<",
        "._",
        ".5e3",
        "- a",
        "a: b",
        "#x",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
specs = st.dictionaries(text, values, max_size=6)


def same(a: Any, b: Any) -> bool:
    """Equal in value and in type at every depth."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@given(specs)
def test_a_spec_is_read_back_as_it_was_written(tree: dict[str, Any]) -> None:
    written = spec.dump(tree)
    assert same(spec.load(written) if tree else {}, tree)


@given(specs)
def test_plain_yaml_reads_the_same_spec(tree: dict[str, Any]) -> None:
    assert same(yaml.safe_load(spec.dump(tree)), tree)


@pytest.mark.parametrize("number", [1e-05, 2e-4, 1e22, 5e-324, 1.7976931348623157e308, 0.1, -0.0, 1.0, 1e16])
def test_every_float_comes_back_as_the_same_float(number: float) -> None:
    back = yaml.safe_load(spec.dump({"x": number}))["x"]
    assert isinstance(back, float)
    assert math.copysign(1, back) == math.copysign(1, number)
    assert back == number


def test_keys_keep_their_order_and_nothing_is_shared() -> None:
    part = {"a": [1]}
    written = spec.dump({"z": part, "b": part, "c": None})
    assert written == "z:\n  a:\n  - 1\nb:\n  a:\n  - 1\nc: null\n"


class Color(str, Enum):
    RED = "red"


def test_subtypes_become_plain_and_tuples_lists() -> None:
    assert spec.load(spec.dump({"a": Color.RED, "b": (1, 2)})) == {"a": "red", "b": [1, 2]}


cycle: dict[str, Any] = {}
cycle["self"] = [cycle]


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"a": {"b": math.nan}}, r"a\.b is nan"),
        ({"a": [0.0, math.inf]}, r"a\[1\] is inf"),
        ({"a": {1: 2}}, "key 1 below 'a' is not text"),
        ({"a": {"b": {None: 2}}}, r"key None below 'a\.b'"),
        ({"a": object()}, "a is a object"),
        ({"a": {1, 2}}, "a is a set"),
        (cycle, r"self\[0\] holds itself"),
    ],
)
def test_what_yaml_cannot_say_is_refused(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        spec.dump(tree)


def test_merge_keeps_siblings_and_replaces_lists() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert spec.merge(base, {"a": {"c": [3]}, "e": {"f": 5}}) == {
        "a": {"b": 1, "c": [3]},
        "d": 4,
        "e": {"f": 5},
    }
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 4}


trees = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1)),
)


@given(trees, trees)
def test_merge_takes_every_leaf_of_the_overlay_and_keeps_the_rest(base: Any, overlay: Any) -> None:
    merged = keypath.flatten(spec.merge(base, overlay))
    new, old = keypath.flatten(overlay), keypath.flatten(base)
    assert all(merged[path] == value for path, value in new.items())
    assert set(merged) <= set(new) | set(old)
    branches = {path.rsplit(".", depth)[0] for path in new for depth in range(path.count(".") + 1)}
    for path, value in old.items():
        covered = path in branches or any(path == name or path.startswith(name + ".") for name in new)
        assert covered or merged[path] == value


def test_parameters_stand_over_overrides_over_the_template() -> None:
    template = {"train": {"lr": 1, "epochs": 10, "gpu": 0}, "data": {"train": [{"dir": "", "json": ""}]}}
    built = spec.build(
        template,
        {"data.train[0].dir": "/a", "train.lr": 2, "train.epochs": 5},
        {"train.lr": 3},
    )
    assert built == {
        "train": {"lr": 3, "epochs": 5, "gpu": 0},
        "data": {"train": [{"dir": "/a", "json": ""}]},
    }
    assert template["train"] == {"lr": 1, "epochs": 10, "gpu": 0}


def test_a_key_is_set_before_the_keys_below_it() -> None:
    overrides = {"data.train[1].dir": "/c", "data.train": [{"dir": "/a"}, {"dir": "/b"}]}
    assert spec.build({"data": {"train": []}}, overrides, {}) == {"data": {"train": [{"dir": "/a"}, {"dir": "/c"}]}}


def test_a_mapping_is_merged_into_the_mapping_it_meets() -> None:
    template = {"data": {"val": {"kind": "OD", "dir": ""}}}
    assert spec.build(template, {"data.val": {"dir": "/a"}}, {}) == {"data": {"val": {"kind": "OD", "dir": "/a"}}}


def test_a_path_through_a_value_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be set"):
        spec.build({"train": {"lr": 1}}, {"train.lr.x": 2}, {})


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("5", 5),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("", None),
        ("[1, 2]", [1, 2]),
        ("{a: 1e-3}", {"a": 1e-3}),
        ("'5'", "5"),
        ("resnet_50", "resnet_50"),
        ("/data/a b", "/data/a b"),
        ("2026-11-21", "2026-11-21"),
        ("1e-5..1e-3:log", "1e-5..1e-3:log"),
    ],
)
def test_a_flag_is_read_as_yaml(raw: str, value: Any) -> None:
    assert same(spec.parse_value(raw), value)


@given(st.text(max_size=10))
def test_any_flag_is_a_value_or_one_kind_of_error(raw: str) -> None:
    try:
        spec.parse_value(raw)
    except UsageError as error:
        assert repr(raw) in error.message


@pytest.mark.parametrize("raw", ["[1, 2", "a: b: c", "!!python/name:os", "0x_", "="])
def test_a_flag_that_is_no_yaml_is_refused(raw: str) -> None:
    with pytest.raises(UsageError, match="cannot be read as a value"):
        spec.parse_value(raw)


def test_a_spec_is_a_mapping() -> None:
    with pytest.raises(ConfigError, match="spec: a spec is a mapping"):
        spec.load("- 1")


def test_differences_are_by_leaf() -> None:
    found = spec.differences({"a": {"b": 1, "c": 2}, "new": 3}, {"a": {"b": 1, "c": 4}, "old": 5})
    assert found == {"a.c": (2, 4), "new": (3, None), "old": (None, 5)}
