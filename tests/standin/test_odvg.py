"""ODVG files: lines of detections with a label map, or of phrases with regions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tao_automl.standin import odvg

SIDE = 16


def instance(label: int, *box: float, **more: Any) -> dict[str, Any]:
    return {"bbox": list(box), "label": label, "category": "?", **more}


def write(folder: Path, lines: list[dict[str, Any]], labels: dict[str, str] | None) -> tuple[Path, ...]:
    """A source with one grey image a line."""
    (folder / "images").mkdir(parents=True)
    said = []
    for number, line in enumerate(lines):
        Image.new("L", (20, 10)).save(folder / "images" / f"{number}.png")
        said.append(json.dumps({"file_name": f"{number}.png", "height": 10, "width": 20, **line}))
    (folder / "a.jsonl").write_text("\n".join(said) + "\n\n")
    if labels is None:
        return folder / "images", folder / "a.jsonl"
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder / "images", folder / "a.jsonl", folder / "labels.json"


def detections(*instances: dict[str, Any]) -> dict[str, Any]:
    return {"detection": {"instances": list(instances)}}


def test_corners_become_sides_and_labels_names(tmp_path: Path) -> None:
    lines = [detections(instance(10, 1, 2, 4, 8, mask=[[1, 2, 4, 2, 4, 8]])), detections(instance(2, 0, 0, 5, 5))]
    source = write(tmp_path, lines, {"10": "cat", "2": "dog"})
    found = odvg.load([source], SIDE)
    assert odvg.count([source]) == 2
    assert found.names == {0: "dog", 1: "cat"}
    assert found.truth.category.tolist() == [1, 0]
    assert found.truth.box.tolist() == [[1, 2, 3, 6], [0, 0, 5, 5]]
    assert found.outlines == ([[1, 2, 4, 2, 4, 8]], None)
    assert found.sizes.tolist() == [[20, 10], [20, 10]]


def test_equal_names_of_several_sources_are_one_category(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [detections(instance(0, 0, 0, 1, 1))], {"0": "cat"})
    two = write(tmp_path / "two", [detections(instance(1, 0, 0, 1, 1))], {"0": "dog", "1": "cat"})
    said = {
        "caption": "a cat and a bird",
        "regions": [{"bbox": [0, 0, 2, 2], "phrase": name} for name in ("bird", "cat")],
    }
    three = write(tmp_path / "three", [{"grounding": said}], None)
    found = odvg.load([one, two, three], SIDE)
    assert [found.names[number] for number in sorted(found.names)] == ["cat", "dog", "bird"]
    assert found.truth.category.tolist() == [0, 0, 2, 0]
    assert found.truth.image.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("line", "labels", "error"),
    [
        (detections(instance(7, 0, 0, 1, 1)), {"0": "cat"}, KeyError),
        ({"grounding": {"regions": []}}, {"0": "cat"}, KeyError),
        (detections(), None, KeyError),
        (detections(), {"cat": "0"}, ValueError),
    ],
)
def test_what_does_not_fit_its_label_map_is_refused(tmp_path: Path, line: Any, labels: Any, error: type) -> None:
    with pytest.raises(error):
        odvg.load([write(tmp_path, [line], labels)], SIDE)


def test_a_coco_file_is_no_odvg_file(tiny_odvg: Path) -> None:
    labels = tiny_odvg / "train" / "annotations_odvg_labelmap.json"
    with pytest.raises(KeyError, match="file_name"):
        odvg.load([(tiny_odvg / "train" / "images", tiny_odvg / "train" / "annotations.json", labels)], SIDE)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    source = write(tmp_path, [detections()], {"0": "cat"})
    source[1].write_text('{"file_name": "0.png", \n')
    with pytest.raises(ValueError, match="image 1 is not JSON"):
        odvg.load([source], SIDE)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.jsonl"):
        odvg.count([(tmp_path, tmp_path / "gone.jsonl")])
