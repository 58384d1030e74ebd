from __future__ import annotations

import hashlib
import json
from pathlib import Path

from PIL import Image

from tao_automl.standin import shapes


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shapes.write(tmp_path / name, seed=5, train=6, val=3)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert len(digest(tmp_path / "one")) == 6 + 3 + 2


def test_another_seed_writes_other_images(tmp_path: Path) -> None:
    for seed in (5, 6):
        shapes.write(tmp_path / str(seed), seed=seed, train=2, val=1)
    one, two = digest(tmp_path / "5"), digest(tmp_path / "6")
    assert one.keys() == two.keys()
    assert all(one[name] != two[name] for name in one)


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
