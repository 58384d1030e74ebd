from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.tao import keypath

names = st.text(st.characters(exclude_characters=".[]", exclude_categories=["Cs"]), min_size=1, max_size=8)
parts = st.builds(lambda first, rest: (first, *rest), names, st.lists(names | st.integers(0, 12), max_size=6))
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
trees = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    ),
    max_size=4,
)
paths = st.builds(
    lambda first, rest: keypath.render((first, *rest)),
    st.sampled_from("abcd"),
    st.lists(st.sampled_from("abcd") | st.integers(0, 3), max_size=3),
)


def test_a_path_has_keys_and_indices() -> None:
    assert keypath.parse("dataset.train_data_sources[0].image_dir") == (
        "dataset",
        "train_data_sources",
        0,
        "image_dir",
    )
    assert keypath.parse("grid[1][2]") == ("grid", 1, 2)


@given(parts)
def test_parse_reads_what_render_writes(path: tuple[str | int, ...]) -> None:
    assert keypath.parse(keypath.render(path)) == path


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "[0]", "a[x]", "a[-1]", "a[0", "a[0]b", "a]"])
def test_a_text_that_is_no_path_is_refused(text: str) -> None:
    assert not keypath.valid(text)
    with pytest.raises(UsageError, match="is no key"):
        keypath.parse(text)


@given(trees, paths, scalars)
def test_get_after_assign_gives_the_value_and_the_tree_stays(tree: Any, path: str, value: Any) -> None:
    before = copy.deepcopy(tree)
    try:
        changed = keypath.assign(tree, path, value)
    except UsageError:
        return
    finally:
        assert tree == before
    assert keypath.get(changed, path) == value


@given(trees, paths)
def test_assigning_what_is_there_changes_nothing(tree: Any, path: str) -> None:
    missing = object()
    value = keypath.get(tree, path, missing)
    if value is not missing:
        assert keypath.assign(tree, path, value) == tree


@given(trees)
def test_a_tree_is_the_sum_of_its_leaves(tree: Any) -> None:
    again: dict[str, Any] = {}
    for path, value in keypath.flatten(tree).items():
        again = keypath.assign(again, path, value)
    assert again == tree


def test_assign_makes_what_is_missing_and_appends_to_lists() -> None:
    tree = keypath.assign({}, "dataset.sources[0].image_dir", "/a")
    tree = keypath.assign(tree, "dataset.sources[1].image_dir", "/b")
    assert tree == {"dataset": {"sources": [{"image_dir": "/a"}, {"image_dir": "/b"}]}}
    assert keypath.assign({"a": None}, "a.b", 1) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a.b.c", "'c' would be a key of 1"),
        ("a[0]", r"\[0\] would be an element of a mapping"),
        ("list.x", "'x' would be a key of a list"),
        ("list[3]", "the list has 1 elements"),
    ],
)
def test_assign_refuses_a_path_through_a_value(path: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        keypath.assign({"a": {"b": 1}, "list": [1]}, path, 2)


def test_assign_shares_what_it_does_not_change() -> None:
    tree = {"a": {"x": 1}, "b": {"y": 2}}
    assert keypath.assign(tree, "a.x", 3)["b"] is tree["b"]


def test_get_names_the_path_that_is_missing() -> None:
    with pytest.raises(UsageError, match=r"the spec has no train\.lr"):
        keypath.get({"train": {}}, "train.lr")
    assert keypath.get({"train": {}}, "train.lr", None) is None
    assert keypath.get({"a": [1]}, "a[1]", "none") == "none"
    assert keypath.get({"a": "text"}, "a[0]", "none") == "none"


def test_lists_and_empty_mappings_are_leaves() -> None:
    assert keypath.flatten({"a": {"b": [1, {"c": 2}], "d": {}}, "e": None}) == {
        "a.b": [1, {"c": 2}],
        "a.d": {},
        "e": None,
    }
