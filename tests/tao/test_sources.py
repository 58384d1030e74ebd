from __future__ import annotations

import pytest

from tao_automl.tao import sources
from tao_automl.tao.skill import DataSource
from tests.fakes.chain import action

FILES = {"image_dir": "images.tar.gz", "json_file": "annotations.json"}
LIST = DataSource("data.train", "train_datasets", True, FILES, as_list=True)
DICT = DataSource("data.val", "eval_dataset", False, FILES)
PLAIN = DataSource("data.names", "eval_dataset", False, {"": "names.txt"})


def of(*entries: DataSource) -> tuple[DataSource, ...]:
    return sources.of(action("train", {}, {}, data_sources=entries))


def part(key: str, name: str, **changed) -> DataSource:
    return DataSource(key, "train_datasets", False, {"": name}, **changed)


def test_parts_of_the_first_entry_are_one_list() -> None:
    entries = (part("data.train[0].image_dir", "images.tar.gz"), part("data.train[0].json_file", "annotations.json"))
    assert of(*entries, PLAIN) == (LIST, PLAIN)


def test_a_list_is_optional_if_all_its_parts_are() -> None:
    one, other = part("a[0].x", "x", optional=True), part("a[0].y", "y", optional=True)
    assert of(one, other)[0].optional
    assert not of(one, part("a[0].y", "y"))[0].optional


def test_the_files_of_a_word_are_those_of_all_its_sources() -> None:
    known = action("train", {}, {}, data_sources=(LIST, DICT, PLAIN))
    assert sources.files(known, "eval_dataset") == {"images.tar.gz", "annotations.json", "names.txt"}
    assert sources.files(known, "inference_dataset") == frozenset()
    assert sources.shown(known, "train_datasets") == "images.tar.gz or images/, annotations.json"


@pytest.mark.parametrize("path", ["data.train", "data.train[0]", "data.train[1].image_dir", "data.train[0].json_file"])
def test_a_list_is_the_users_as_soon_as_a_part_is(path: str) -> None:
    assert sources.left(LIST, {path: 1}) is None


def test_of_a_mapping_the_rest_is_left() -> None:
    left = sources.left(DICT, {"data.val.json_file": 1})
    assert left is not None
    assert left.files == {"image_dir": "images.tar.gz"}
    assert sources.left(DICT, {"data.val": 1}) is None
    assert sources.left(DICT, {"data.val.json_file": 1, "data.val.image_dir": 1}) is None
    assert sources.left(PLAIN, {"data.names": 1}) is None


@pytest.mark.parametrize(
    "path", ["data.val.data_type", "data.val[0].data_type", "data.valid", "data.value.json_file", "data", "other"]
)
def test_a_key_beside_the_data_changes_nothing(path: str) -> None:
    assert sources.left(DICT, {path: 1}) == DICT
    assert not sources.is_named(action("train", {}, {}, data_sources=(DICT,)), {path: 1})


def test_data_is_named_by_any_part_of_it() -> None:
    known = action("train", {}, {}, data_sources=(LIST, PLAIN))
    assert sources.is_named(known, {"data.train[0].image_dir": 1})
    assert sources.is_named(known, {"data.names": 1})
    assert not sources.is_named(known, {})


def test_a_group_that_holds_a_source_names_it_and_one_that_does_not_leaves_it_open() -> None:
    source = DataSource("data.val", "eval_dataset", False, {"image_dir": "images.tar.gz", "json_file": "a.json"})
    assert sources.left(source, {"data": {"batch": 2}}) == source
    named = sources.left(source, {"data": {"val": {"json_file": "/a.json"}}})
    assert named is not None
    assert named.files == {"image_dir": "images.tar.gz"}
    plain = DataSource("data.val.image_dir", "eval_dataset", False, {"": "images.tar.gz"})
    assert sources.left(plain, {"data.val": {"image_dir": "/images"}}) is None
    assert sources.left(plain, {"data.val": {"json_file": "/a.json"}}) == plain
