"""Whether a spec fits its data and itself: each mistake has a sentence of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tao_automl.errors import UsageError
from tao_automl.tao import fit
from tao_automl.tao.constraint import Constraint
from tao_automl.tao.datafacts import DataFacts
from tao_automl.tao.dataset import Data, Dataset
from tao_automl.tao.facts import Facts
from tests.fakes.tiny import SKILL

TINY = Facts.load(SKILL / "automl.yaml")
WORDS = replace(TINY, keys=replace(TINY.keys, num_classes=None), data=DataFacts("odvg", 0, gaps=False))


def dataset(name: str, *ids: int, images: int = 4, **changed: Any) -> Dataset:
    folder = Path("/data") / name
    categories = {number: f"class {number}" for number in ids}
    known = Dataset(folder, folder / "images", folder / "annotations.json", images, images, categories)
    return replace(known, **changed)


def check(facts: Facts, data: Data, devices: int = 1, **values: Any) -> None:
    spec = {"num_classes": 9, "eval_class_ids": None, "batch_size": 1, **values}
    fit.check(facts, {"dataset": spec, "model": {"queries": 10, "select": 40}}, data, devices)


def refused(facts: Facts, data: Data, code: str, words: str, devices: int = 1, **values: Any) -> str:
    with pytest.raises(UsageError, match=words) as raised:
        check(facts, data, devices, **values)
    assert raised.value.code == code
    return raised.value.tip


DATA = Data((dataset("train", 1, 2),), (dataset("val", 1, 2),))


def test_what_fits_is_taken() -> None:
    check(TINY, DATA, num_classes=3, eval_class_ids=[1, 2])
    check(WORDS, Data((dataset("train", 0, 1),), (dataset("val", 0, 1),)))
    check(TINY, Data())


def test_too_few_classes() -> None:
    words = r"dataset\.num_classes is 2, but the data has category id 2: it must be at least 3"
    assert refused(TINY, DATA, "num-classes", words, num_classes=2) == "--num-classes 3, or leave it out"


def test_a_class_to_score_that_the_data_lacks() -> None:
    words = r"dataset\.eval_class_ids has 7, which is no category id of the data"
    assert "the data has 1, 2" in refused(TINY, DATA, "eval-class-ids", words, eval_class_ids=[1, 7])


def test_a_batch_that_the_data_cannot_fill() -> None:
    words = r"dataset\.batch_size 3 on 2 GPU\(s\) is more than the 4 images of the smaller split"
    assert refused(TINY, DATA, "batch-too-large", words, 2, batch_size=3) == "--set dataset.batch_size=2"
    assert refused(TINY, DATA, "batch-too-large", "1 on 5", 5) == "take fewer GPUs, or more images"


def test_a_class_with_two_names() -> None:
    other = dataset("val", 1, categories={1: "class 1", 2: "dog"})
    words = r"category 2 is 'class 2' in /data/train/annotations\.json and 'dog' in /data/val/annotations\.json"
    refused(TINY, Data(DATA.train, (other,)), "category-names", words)


def test_names_to_look_for_may_have_other_ids_in_other_data() -> None:
    check(WORDS, Data((dataset("train", 0, 1),), (dataset("val", 0, categories={0: "dog"}),)))


def test_ids_that_do_not_begin_where_the_model_counts() -> None:
    data = Data((dataset("train", 0),), (dataset("val", 1, 2),))
    tip = refused(WORDS, data, "category-ids", r"val/annotations\.json: category ids begin with 1, .* from 0")
    assert "from 0" in tip


def test_ids_with_a_gap() -> None:
    data = Data((dataset("train", 0),), (dataset("val", 0, 1, 3),))
    tip = refused(WORDS, data, "category-ids", "category ids have a gap: 2 is missing below 3")
    assert tip == "number the categories again, 0 to 2"


def test_gaps_are_no_harm_where_ids_are_classes() -> None:
    check(TINY, Data((dataset("train", 1, 7),), (dataset("val", 1, 7),)))


def test_an_image_id_in_two_validation_sets() -> None:
    one, other = (dataset(name, 1, 2, image_ids=frozenset({1, number})) for name, number in (("a", 2), ("b", 3)))
    refused(TINY, Data(DATA.train, (one, other)), "image-ids", r"image id 1 stands in .*a.* and in .*b")
    check(TINY, Data((one, other), DATA.val))


def test_a_rule_of_the_skill_says_why_and_with_which_values() -> None:
    rule = Constraint("model.select < model.queries * data.categories", "boxes are few")
    facts = replace(TINY, require=(rule,))
    words = r"boxes are few: model\.select is 40 and model\.queries is 10 and data\.categories is 2"
    assert refused(facts, DATA, "constraint", words) == f"{rule.rule} must hold"
    check(facts, Data())
    check(facts, Data(DATA.train, (dataset("val", 1, 2, 3, 4, 5),)))
