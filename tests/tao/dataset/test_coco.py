from __future__ import annotations

import copy
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tao_automl.errors import UsageError
from tao_automl.tao import dataset
from tao_automl.tao.datafacts import DataFacts

FILES = ("images.tar.gz", "annotations.json")

DOCUMENT: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 8, "height": 8},
        {"id": 2, "file_name": "sub/b.png", "width": 8, "height": 8},
    ],
    "annotations": [
        {"id": 10, "image_id": 1, "category_id": 3, "bbox": [0, 0, 4, 4], "area": 16},
        {"id": 11, "image_id": 2, "category_id": 1, "bbox": [1.5, 1, 2.5, 3], "area": 7.5},
    ],
    "categories": [{"id": 3, "name": "cross"}, {"id": 1, "name": "dot"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    (root / "images" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        Image.new("RGB", (8, 8)).save(root / "images" / name)
    (root / "annotations.json").write_text(json.dumps(DOCUMENT))
    return root


def packed(folder: Path) -> Path:
    with tarfile.open(folder / "images.tar.gz", "w:gz") as archive:
        archive.add(folder / "images", "images")
    for path in sorted((folder / "images").rglob("*.png")):
        path.unlink()
    (folder / "images" / "sub").rmdir()
    (folder / "images").rmdir()
    return folder


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def test_a_folder_of_images_is_read(folder: Path) -> None:
    found = dataset.inspect(str(folder))
    assert found == dataset.Dataset(
        folder=folder,
        images=folder / "images",
        annotations=folder / "annotations.json",
        image_count=2,
        annotation_count=2,
        categories={1: "dot", 3: "cross"},
    )
    assert list(found.categories) == [1, 3]


def test_an_archive_is_read_too(folder: Path) -> None:
    found = dataset.inspect(packed(folder))
    assert found.images == folder / "images.tar.gz"
    assert found.image_count == 2


def test_other_file_names_can_be_given(folder: Path) -> None:
    (folder / "annotations.json").rename(folder / "val.json")
    (folder / "images").rename(folder / "val")
    assert dataset.inspect(folder, "val.tar.gz", "val.json").images == folder / "val"


def drop(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.pop(key)


def put(section: str, index: int, **values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document[section][index].update(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("images"), "'images' is not a list"),
        (drop("annotations"), "'annotations' is not a list"),
        (drop("categories"), "'categories' is not a list"),
        (lambda document: document["images"].clear(), "has no images"),
        (lambda document: document["annotations"].clear(), "has no annotations"),
        (lambda document: document["categories"].clear(), "has no categories"),
        (lambda document: document["annotations"].append(7), "'annotations' is not a list of objects"),
        (put("annotations", 1, category_id=9), r"annotation 11 is of an unknown category$"),
        (put("annotations", 1, category_id=[3]), "annotation 11 is of an unknown category"),
        (put("annotations", 0, image_id=9), r"annotation 10 is of an unknown image$"),
        (put("annotations", 0, bbox=[0, 0, 0, 4]), "annotation 10 has a box without area"),
        (put("annotations", 0, bbox=[0, 0, 4, -4]), "annotation 10 has a box without area"),
        (put("annotations", 0, bbox=[0, 0, 4]), "annotation 10 has a box without area"),
        (put("annotations", 0, bbox=[0, 0, float("nan"), 4]), "annotation 10 has a box without area"),
        (put("annotations", 0, bbox=[0, 0, "4", 4]), "annotation 10 has a box without area"),
        (put("annotations", 0, bbox=None), "annotation 10 has a box without area"),
        (put("categories", 0, id="3"), "category id '3' is not a whole number"),
        (put("categories", 0, id=-1), "category id -1 is not"),
        (put("images", 0, file_name=None), "image 1 lacks an id or a file_name"),
        (put("images", 0, id=None), "image None lacks"),
        (lambda document: document["images"].append({"id": 1, "file_name": "a.png"}), "image id 1 stands there more"),
        (lambda document: document["categories"].append({"id": 3, "name": "x"}), "category id 3 stands there twice"),
        (put("images", 0, file_name="c.png"), r"images/c\.png is missing$"),
    ],
)
def test_what_cannot_be_trained_on_is_named(folder: Path, change: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        dataset.inspect(changed(folder, change))


def test_the_first_case_is_named_and_all_are_counted(folder: Path) -> None:
    def flat(document: dict[str, Any]) -> None:
        for box in document["annotations"]:
            box["bbox"] = [0, 0, 0, 0]

    with pytest.raises(UsageError, match=r"annotation 10 has a box without area \(2 such annotations\)"):
        dataset.inspect(changed(folder, flat))
    changed(folder, lambda document: None)
    (folder / "images" / "a.png").unlink()
    (folder / "images" / "sub" / "b.png").unlink()
    with pytest.raises(UsageError, match=r"a\.png is missing \(2 such images\)"):
        dataset.inspect(folder)


def test_missing_parts_are_named(folder: Path) -> None:
    with pytest.raises(UsageError, match="none is no directory"):
        dataset.inspect(folder / "none")
    (folder / "annotations.json").unlink()
    with pytest.raises(UsageError, match=r"annotations\.json is missing"):
        dataset.inspect(folder)
    packed(folder)
    (folder / "images.tar.gz").unlink()
    with pytest.raises(UsageError, match="has no images"):
        dataset.inspect(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"images": [\n  {"id": 1,}\n]}', r"annotations\.json:2:12: broken JSON"),
        (b'{"a": "\xff"}', "unreadable JSON"),
        (b"", ":1:1: broken JSON"),
        (b"[]", "a JSON object is expected"),
        (b"[" * 100_000, "JSON"),
    ],
)
def test_broken_json_is_named_with_the_place(folder: Path, content: bytes, words: str) -> None:
    (folder / "annotations.json").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        dataset.inspect(folder)


@pytest.mark.parametrize("damage", [lambda data: b"no archive", lambda data: data[:40], lambda data: b""])
def test_a_damaged_archive_is_refused(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    archive = packed(folder) / "images.tar.gz"
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(UsageError, match="is no readable archive"):
        dataset.inspect(folder)


def test_an_empty_archive_is_refused(folder: Path) -> None:
    archive = packed(folder) / "images.tar.gz"
    tarfile.open(archive, "w:gz").close()
    with pytest.raises(UsageError, match="is empty"):
        dataset.inspect(folder)


def test_masks_are_looked_for_where_a_model_needs_them(folder: Path) -> None:
    masked = DataFacts("coco", masks=True)
    with pytest.raises(UsageError, match=r"annotation 10 has no mask in 'segmentation' \(2 such annotations\)"):
        dataset.read(folder, FILES, masked)

    def draw(document: dict[str, Any]) -> None:
        for box in document["annotations"]:
            box["segmentation"] = [[0, 0, 4, 0, 4, 4]]

    assert dataset.read(changed(folder, draw), FILES, masked).annotation_count == 2


def test_the_ids_of_the_images_are_known(folder: Path) -> None:
    assert dataset.inspect(folder).image_ids == {1, 2}
