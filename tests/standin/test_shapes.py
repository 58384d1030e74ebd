from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from tao_automl.standin import shapes


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shapes.write(tmp_path / name, seed=5, train=6, val=3)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert len(digest(tmp_path / "one")) == 6 + 3 + 4


def test_another_seed_writes_other_images(tmp_path: Path) -> None:
    for seed in (5, 6):
        shapes.write(tmp_path / str(seed), seed=seed, train=2, val=1)
    one, two = digest(tmp_path / "5"), digest(tmp_path / "6")
    assert one.keys() == two.keys()
    assert {name for name in one if one[name] == two[name]} == {"train/label_map.txt", "val/label_map.txt"}


def test_a_longer_set_begins_with_the_shorter_one_and_leaves_the_other_split(tmp_path: Path) -> None:
    shapes.write(tmp_path / "short", seed=5, train=3, val=2)
    shapes.write(tmp_path / "long", seed=5, train=5, val=2)
    short, long = digest(tmp_path / "short"), digest(tmp_path / "long")
    changed = {name for name in short if short[name] != long[name]}
    assert changed == {"train/annotations.json"}


def test_boxes_lie_in_their_images_and_have_an_area(tmp_path: Path) -> None:
    shapes.write(tmp_path, seed=5, train=12, val=1)
    document = json.loads((tmp_path / "train" / "annotations.json").read_text())
    images = {image["id"]: image for image in document["images"]}
    assert {box["image_id"] for box in document["annotations"]} == set(images)
    for box in document["annotations"]:
        x, y, width, height = box["bbox"]
        with Image.open(tmp_path / "train" / "images" / images[box["image_id"]]["file_name"]) as image:
            assert 0 <= x < x + width <= image.width
            assert 0 <= y < y + height <= image.height
        assert width * height > 0
        assert box["category_id"] in {category["id"] for category in document["categories"]}


def test_odvg_files_say_what_the_coco_files_say(tmp_path: Path) -> None:
    shapes.write(tmp_path / "coco", seed=5, train=4, val=1)
    shapes.write(tmp_path / "odvg", seed=5, train=4, val=1, odvg=True)
    one, two = (json.loads((tmp_path / form / "train" / "annotations.json").read_text()) for form in ("coco", "odvg"))
    assert digest(tmp_path / "coco" / "train" / "images") == digest(tmp_path / "odvg" / "train" / "images")
    assert [box["category_id"] - 1 for box in one["annotations"]] == [box["category_id"] for box in two["annotations"]]
    labels = json.loads((tmp_path / "odvg" / "train" / "annotations_odvg_labelmap.json").read_text())
    assert labels == {str(category["id"]): category["name"] for category in two["categories"]}
    lines = (tmp_path / "odvg" / "train" / "annotations_odvg.jsonl").read_text().splitlines()
    found = [instance for line in lines for instance in json.loads(line)["detection"]["instances"]]
    assert [item["label"] for item in found] == [box["category_id"] for box in two["annotations"]]
    assert [item["mask"] for item in found] == [box["segmentation"] for box in two["annotations"]]
    for item, box in zip(found, two["annotations"], strict=True):
        left, top, width, height = box["bbox"]
        assert item["bbox"] == pytest.approx([left, top, left + width, top + height], abs=0.01)
