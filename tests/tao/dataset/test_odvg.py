from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tao_automl.errors import UsageError
from tao_automl.tao import dataset
from tao_automl.tao.datafacts import DataFacts

FILES = ("images.tar.gz", "annotations_odvg.jsonl", "annotations_odvg_labelmap.json")
LINES: list[dict[str, Any]] = [
    {
        "file_name": "a.png",
        "detection": {
            "instances": [{"bbox": [0, 0, 4, 4], "label": 1, "category": "dog", "mask": [[0, 0, 4, 4, 0, 4]]}]
        },
    },
    {"file_name": "b.png", "detection": {"instances": [{"bbox": [1.5, 1, 4, 4], "label": 0}]}},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "odvg"
    (root / "images").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(root / "images" / name)
    (root / FILES[2]).write_text('{"0": "cat", "1": "dog"}')
    return changed(root, lambda lines: None)


def changed(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> Path:
    lines = copy.deepcopy(LINES)
    change(lines)
    (folder / FILES[1]).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def read(folder: Path, masks: bool = False) -> dataset.Dataset:
    return dataset.read(folder, FILES, DataFacts("odvg", masks=masks))


def first(**values: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda lines: lines[0]["detection"]["instances"][0].update(values)


def test_images_lines_and_labels_are_read(folder: Path) -> None:
    found = read(folder)
    assert (found.images, found.annotations) == (folder / "images", folder / FILES[1])
    assert (found.image_count, found.annotation_count, found.categories) == (2, 2, {0: "cat", 1: "dog"})


def test_empty_lines_are_passed_over(folder: Path) -> None:
    file = folder / FILES[1]
    file.write_text(file.read_text().replace("\n", "\n\n"))
    assert read(folder).image_count == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (first(label=2), r"jsonl:1 has label 2, which the label map does not have"),
        (first(label="1"), "has label '1'"),
        (first(label=True), "has label True"),
        (first(category="cow"), r"jsonl:1 calls label 1 'cow', and the label map 'dog'"),
        (first(bbox=[0, 0, 0, 4]), r"jsonl:1 has a box without area"),
        (first(bbox=[4, 4, 0, 0]), "has a box without area"),
        (first(bbox=[0, 0, float("inf"), 4]), "has a box without area"),
        (first(bbox=None), "has a box without area"),
        (lambda lines: lines[1].pop("file_name"), r"jsonl:2: the image has no file_name"),
        (lambda lines: lines[1].pop("detection"), r"jsonl:2: this is no ODVG detection"),
        (lambda lines: lines[1]["detection"].update(instances=[7]), "'instances' is not a list of objects"),
        (lambda lines: lines.clear(), "has no images"),
        (lambda lines: [line["detection"]["instances"].clear() for line in lines], "has no objects"),
        (lambda lines: lines[1].update(file_name="c.png"), r"images/c\.png is missing"),
    ],
)
def test_what_cannot_be_trained_on_is_named_with_its_line(folder: Path, change: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(changed(folder, change))


def test_the_first_case_is_named_and_all_are_counted(folder: Path) -> None:
    def flat(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            line["detection"]["instances"][0]["bbox"] = [0, 0, 0, 0]

    with pytest.raises(UsageError, match=r"jsonl:1 has a box without area \(2 such objects\)"):
        read(changed(folder, flat))


def test_masks_are_looked_for_where_a_model_needs_them(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"jsonl:2 has an object without a mask$"):
        read(folder, masks=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"1": "cat", "2": "dog"}', "labels count from 0 without a gap, and 0 is missing"),
        ('{"0": "cat", "2": "dog"}', "and 1 is missing"),
        ('{"zero": "cat"}', "'zero' is not a number with a name"),
        ('{"0": 7}', "'0' is not a number with a name"),
        ("{}", "has no labels"),
        ("[]", "a JSON object is expected"),
        ('{"0": ', r"labelmap\.json:1:\d+: broken JSON"),
    ],
)
def test_a_label_map_counts_from_zero(folder: Path, text: str, words: str) -> None:
    (folder / FILES[2]).write_text(text)
    with pytest.raises(UsageError, match=words):
        read(folder)


def test_a_broken_line_is_named(folder: Path) -> None:
    with (folder / FILES[1]).open("a") as file:
        file.write('{"file_name": \n')
    with pytest.raises(UsageError, match=r"jsonl:3:\d+: broken JSON"):
        read(folder)
    (folder / FILES[1]).write_text("[1]\n")
    with pytest.raises(UsageError, match=r"jsonl:1: a JSON object is expected"):
        read(folder)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UsageError, match=f"{name} is missing"):
        read(folder)
