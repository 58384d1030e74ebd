from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tao_automl.standin import examples

SIDE = 32


def write(folder: Path, sizes: dict[int, tuple[int, int]], boxes: list[dict[str, Any]]) -> tuple[Path, Path]:
    """A source of plain images, each of its id's brightness."""
    (folder / "images").mkdir(parents=True)
    for number, size in sizes.items():
        Image.new("L", size, number).save(folder / "images" / f"{number}.png")
    document = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in sizes],
        "annotations": boxes,
        "categories": [{"id": 3, "name": "c"}, {"id": 1, "name": "a"}],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder / "images", folder / "annotations.json"


def box(image: int, *corners: float, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": image, "category_id": 1, "bbox": list(corners), **more}


def test_images_have_one_size_and_boxes_their_own_pixels(tmp_path: Path) -> None:
    source = write(tmp_path, {9: (64, 16), 4: (8, 8)}, [box(4, 1, 2, 3, 4), box(9, 10, 5, 40, 6, area=7)])
    found = examples.load([source], SIDE)
    assert found.images.shape == (2, SIDE, SIDE, 3)
    assert found.images.dtype == np.uint8
    assert [np.unique(image).tolist() for image in found.images] == [[9], [4]]
    assert found.sizes.tolist() == [[64, 16], [8, 8]]
    assert found.truth.image.tolist() == [1, 0]
    assert found.truth.box.tolist() == [[1, 2, 3, 4], [10, 5, 40, 6]]
    assert found.truth.area.tolist() == [12, 7]
    assert found.categories == (1, 3)


def test_equal_ids_of_two_sources_stay_apart(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {7: (8, 8)}, [box(7, 0, 0, 1, 1)])
    two = write(tmp_path / "two", {7: (8, 8), 8: (8, 8)}, [box(7, 0, 0, 2, 2), box(8, 0, 0, 3, 3)])
    found = examples.load([one, two], SIDE)
    assert found.truth.image.tolist() == [0, 1, 2]
    assert found.truth.box[:, 2].tolist() == [1, 2, 3]
    assert examples.count([one, two]) == 3


def test_crowds_are_marked(tmp_path: Path) -> None:
    source = write(tmp_path, {1: (8, 8)}, [box(1, 0, 0, 4, 4, iscrowd=1), box(1, 0, 0, 2, 2, iscrowd=0)])
    assert examples.load([source], SIDE).truth.crowd.tolist() == [True, False]


def test_a_box_of_an_unlisted_image_is_left_out(tmp_path: Path) -> None:
    source = write(tmp_path, {1: (8, 8)}, [box(2, 0, 0, 4, 4)])
    assert len(examples.load([source], SIDE).truth.box) == 0


def test_the_head_has_its_own_boxes_only(tmp_path: Path) -> None:
    source = write(tmp_path, {1: (8, 8), 2: (8, 8)}, [box(2, 0, 0, 4, 4), box(1, 0, 0, 2, 2)])
    head = examples.load([source], SIDE).head(1)
    assert len(head.images) == len(head.sizes) == 1
    assert head.truth.box[:, 2].tolist() == [2]


def test_images_alone_have_no_boxes(tmp_path: Path) -> None:
    folder, _ = write(tmp_path, {1: (8, 8), 2: (20, 8)}, [])
    found = examples.images_only([folder / "2.png", folder / "1.png"], SIDE)
    assert found.sizes.tolist() == [[20, 8], [8, 8]]
    assert len(found.truth.image) == 0


@pytest.mark.parametrize("missing", ["images", "annotations.json", "images/1.png"])
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    source = write(tmp_path, {1: (8, 8)}, [])
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError) as caught:
        examples.load([source], SIDE)
    assert str(caught.value) == f"[Errno 2] No such file or directory: '{tmp_path / missing}'"


def test_counting_reads_no_image_but_needs_the_file(tmp_path: Path) -> None:
    source = write(tmp_path, {1: (8, 8)}, [])
    (tmp_path / "images" / "1.png").unlink()
    assert examples.count([source]) == 1
    source[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"annotations\.json"):
        examples.count([source])


@pytest.mark.parametrize("text", ["{", "[]", '{"annotations": []}'])
def test_a_file_that_is_not_coco_is_named(tmp_path: Path, text: str) -> None:
    source = write(tmp_path, {1: (8, 8)}, [])
    source[1].write_text(text)
    with pytest.raises(ValueError, match=r"annotations\.json is not"):
        examples.load([source], SIDE)


def test_an_empty_set_loads(tmp_path: Path) -> None:
    assert examples.load([write(tmp_path, {}, [])], SIDE).images.shape == (0, SIDE, SIDE, 3)
