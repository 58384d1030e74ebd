"""The data that an action reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tao_automl import feed
from tao_automl.errors import UsageError
from tao_automl.feed import Feed, Place
from tao_automl.layout import StudiesPaths
from tao_automl.pins import Pins
from tao_automl.tao import dataset
from tao_automl.tao.constraint import Constraint
from tao_automl.tao.datafacts import DataFacts
from tao_automl.tao.dataset import Data
from tao_automl.tao.skill import Action, DataSource, Input
from tests.fakes import chain
from tests.fakes.tiny import coco

IMAGES = "images.tar.gz"
LISTED = DataSource("data.dirs", "inference_dataset", False, {"": IMAGES}, as_list=True)
NAMES = DataSource("data.names", "inference_dataset", False, {"": "label_map.txt"})
DICT = DataSource("data.test", "eval_dataset", False, {"image_dir": IMAGES, "json_file": "annotations.json"})
MANY = DataSource("data.train", "train_datasets", True, {"image_dir": IMAGES}, as_list=True)
ASKING = DataSource(
    "data.ask", "inference_dataset", False, {"image_dir": IMAGES, "classmap": "label_map.txt", "captions": "ask.jsonl"}
)


def action(*data: DataSource, **inputs: Input) -> Action:
    named = {key.replace("__", "."): entry for key, entry in inputs.items()}
    return chain.action("score", {}, {}, data_sources=data, inputs=named)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    sets = [dataset.inspect(coco(tmp_path / name, categories=(1, 3))) for name in ("train", "val")]
    return Data((sets[0],), (sets[1],))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(StudiesPaths(tmp_path / "studies"), tmp_path / "run")


def fed(data: Data, place: Place, act: Action, captions: str | None = None, **user: Any) -> Feed:
    known = chain.made()
    known = replace(known, facts=replace(known.facts, data=DataFacts("coco", captions=captions)))
    return feed.values(known, act, data, place, {key.replace("__", "."): value for key, value in user.items()})


def test_each_source_has_its_form(data: Data, place: Place, tmp_path: Path) -> None:
    found = fed(replace(data, train=(*data.train, *data.val)), place, action(LISTED, DICT, MANY))
    train, val = (str(tmp_path / name / "images") for name in ("train", "val"))
    assert found.values == {
        "data.dirs": [val],
        "data.test": {"image_dir": val, "json_file": str(tmp_path / "val" / "annotations.json")},
        "data.train": [{"image_dir": train}, {"image_dir": val}],
    }
    assert [item.folder.name for item in found.used] == ["val", "train"]


def test_what_the_user_sets_is_left_out(data: Data, place: Place) -> None:
    found = fed(data, place, action(DICT), data__test__json_file="/my.json")
    assert list(found.values["data.test"]) == ["image_dir"]
    assert fed(data, place, action(DICT), data__test={}).values == {}


def test_class_names_that_the_data_does_not_bring_are_written(data: Data, place: Place) -> None:
    found = fed(data, place, action(LISTED, NAMES))
    file = place.folder / "label_map.txt"
    assert found.values["data.names"] == str(file)
    assert found.files == {file: "class 1\n2\nclass 3\n"}


def test_class_names_that_the_data_brings_are_taken(data: Data, place: Place, tmp_path: Path) -> None:
    (tmp_path / "val" / "label_map.txt").write_text("own\n")
    found = fed(data, place, action(NAMES))
    assert (found.values["data.names"], found.files) == (str(tmp_path / "val" / "label_map.txt"), {})


def test_a_part_that_is_not_there_is_missed_where_it_is_needed(data: Data, place: Place) -> None:
    needs = DataSource("data.more", "eval_dataset", False, {"": "more.csv"})
    with pytest.raises(UsageError, match=r"more\.csv is missing"):
        fed(data, place, action(needs))
    with pytest.raises(UsageError, match=r"more\.csv is missing"):
        fed(data, place, action(needs, data__more=Input("file")))
    assert fed(data, place, action(needs, data__more=Input("file", optional=True))).values == {}


def test_without_words_to_look_for_the_names_of_the_categories_are(data: Data, place: Place) -> None:
    inputs = {"data__ask__image_dir": Input("folder"), "data__ask__captions": Input("list")}
    found = fed(data, place, action(ASKING, **inputs), "data.ask.captions")
    assert found.values["data.ask.captions"] == ["class 1", "class 3"]
    assert set(found.values["data.ask"]) == {"image_dir", "classmap"}
    own = fed(data, place, action(ASKING, **inputs), "data.ask.captions", data__ask__captions=["cat"])
    assert "data.ask.captions" not in own.values


def test_words_that_the_data_brings_are_taken(data: Data, place: Place, tmp_path: Path) -> None:
    (tmp_path / "val" / "ask.jsonl").write_text("{}\n")
    inputs = {"data__ask__image_dir": Input("folder"), "data__ask__captions": Input("list")}
    found = fed(data, place, action(ASKING, **inputs), "data.ask.captions")
    assert found.values["data.ask"]["captions"] == str(tmp_path / "val" / "ask.jsonl")
    assert "data.ask.captions" not in found.values


def test_data_can_be_named_for_one_action(data: Data, place: Place, tmp_path: Path) -> None:
    (tmp_path / "other" / "images").mkdir(parents=True)
    act = action(LISTED, NAMES)
    pins = Pins(tmp_path / "cache")
    given = feed.given(chain.made(), act, data, {"inference_dataset": [tmp_path / "other"]}, pins)
    assert fed(given, place, action(LISTED)).values == {"data.dirs": [str(tmp_path / "other" / "images")]}
    with pytest.raises(UsageError, match="no directory"):
        feed.given(chain.made(), act, data, {"inference_dataset": [tmp_path / "none"]}, pins)


def test_a_batch_must_fit_what_is_read(data: Data) -> None:
    known, act = chain.made(), action(DICT)

    def check(batch: int, own: int = -1, changed: Action = act) -> None:
        spec = {"dataset": {"batch_size": batch}, "score": {"batch_size": own, "num_gpus": 2}}
        feed.check(known, changed, spec, data)

    check(1)
    with pytest.raises(UsageError, match=r"batch_size 2 on 2 GPU\(s\) is more than the 3 images that score reads"):
        check(2)
    check(2, own=1)
    with pytest.raises(UsageError, match=r"score\.batch_size 2 on 2"):
        check(1, own=2)
    check(2, changed=replace(act, deploy=True))
    check(2, changed=action(MANY))


def test_a_rule_of_the_skill_holds_in_actions_too(data: Data) -> None:
    known = chain.made()
    known = replace(known, facts=replace(known.facts, require=(Constraint("a.b < 3", "it is small"),)))
    feed.check(known, action(), {"a": {"b": 2}}, data)
    with pytest.raises(UsageError, match=r"it is small: a\.b is 3"):
        feed.check(known, action(), {"a": {"b": 3}}, data)
