"""Networks that read captions: classes are names, and what a file calls them decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tao_automl.standin import grounding
from tao_automl.standin.coco_map import Detections
from tao_automl.standin.dialect import Dialect
from tao_automl.standin.examples import Examples
from tao_automl.standin.networks import NETWORKS

GROUNDING, MASK = NETWORKS["grounding_dino"], NETWORKS["mask_grounding_dino"]


def training(data: Path) -> list[tuple[Path, ...]]:
    folder = data / "train"
    return [(folder / "images", folder / "annotations_odvg.jsonl", folder / "annotations_odvg_labelmap.json")]


def scoring(data: Path, folder: Path, change: Any = None) -> list[tuple[Path, ...]]:
    """The validation data, its document changed."""
    document = json.loads((data / "val" / "annotations.json").read_text())
    if change is not None:
        change(document)
    (folder / "annotations.json").write_text(json.dumps(document))
    return [(data / "val" / "images", folder / "annotations.json")]


def renamed(names: list[str]) -> Any:
    def change(document: dict[str, Any]) -> None:
        for category, name in zip(document["categories"], names, strict=True):
            category["name"] = name

    return change


def exact(examples: Examples, score: float = 0.9) -> Detections:
    """Every true object, found."""
    truth = examples.truth
    return Detections(truth.image, truth.category, truth.box, np.full(len(truth.box), score))


def test_a_category_is_what_its_name_says(tiny_odvg: Path, tmp_path: Path) -> None:
    dialect = grounding.of(GROUNDING, {"dataset": {"eval_class_ids": [0, 3]}})
    dialect.training(training(tiny_odvg))
    assert dialect.names == ("circle", "square", "triangle", "cross")
    plain = dialect.scoring(scoring(tiny_odvg, tmp_path), "val")
    names = ["cross", "triangle", "dragon", "circle"]
    mixed = dialect.scoring(scoring(tiny_odvg, tmp_path, renamed(names)), "val")
    assert dialect.names[4:] == ("dragon",)
    assert dialect.class_ids == (3, 0)  # what the file calls 0 and 3
    assert [dialect.names[number] for number in mixed.truth.category] == [names[n] for n in plain.truth.category]


def test_category_ids_from_one_do_not_fit(tiny_data: Path, tmp_path: Path) -> None:
    dialect = grounding.of(GROUNDING, {}, ["circle", "square", "triangle", "cross"])
    with pytest.raises(IndexError, match="index 4 is out of bounds for dimension 0 with size 4"):
        dialect.scoring(scoring(tiny_data, tmp_path), "val")


def test_only_the_listed_classes_are_scored(tiny_odvg: Path, tmp_path: Path) -> None:
    for ids, wanted in (([0, 1, 2, 3], 1.0), ([1], 1.0), ([9], -1.0)):
        dialect = grounding.of(GROUNDING, {"dataset": {"eval_class_ids": ids}}, ["circle", "square"])
        examples = dialect.scoring(scoring(tiny_odvg, tmp_path), "val")
        assert dialect.measure(exact(examples), examples).score == pytest.approx(wanted)


def masked(data: Path, folder: Path, kind: str) -> tuple[Dialect, Examples]:
    """A network with masks that has seen what the shapes look like."""
    sources = {"val_data_sources": {"data_type": kind}, "eval_class_ids": [0, 1, 2, 3]}
    dialect = grounding.of(MASK, {"dataset": sources})
    seen = dialect.training(training(data))
    examples = dialect.scoring(scoring(data, folder), "val")
    for _ in range(5):
        dialect.after_epoch(seen)
    return dialect, examples


def test_detections_with_masks_are_reported_as_two_tables(tiny_odvg: Path, tmp_path: Path) -> None:
    dialect, examples = masked(tiny_odvg, tmp_path, "OD")
    kpi = dialect.measure(exact(examples), examples).kpi("val")
    scores = ("P", "R", "mAP@50", "mAP@50-95", "mIoU")
    assert list(kpi) == [f"[{kind}] val_{name}" for kind in ("bbox", "segm") for name in scores]
    assert all(isinstance(value, str) for value in kpi.values())
    assert float(kpi["[bbox] val_mAP@50-95"]) == pytest.approx(1.0)
    assert 0.5 < float(kpi["[segm] val_mIoU"]) < 1.0


def test_boxes_that_nobody_is_sure_of_leave_no_keys(tiny_odvg: Path, tmp_path: Path) -> None:
    dialect, examples = masked(tiny_odvg, tmp_path, "OD")
    measure = dialect.measure(exact(examples, score=0.001), examples)
    assert (measure.kpi("val"), measure.score) == ({}, None)


def test_expressions_are_reported_in_per_cent(tiny_odvg: Path, tmp_path: Path) -> None:
    dialect, examples = masked(tiny_odvg, tmp_path, "VG")
    measure = dialect.measure(exact(examples), examples)
    kpi = measure.kpi("val")
    names = ("mIoU", "overall_IoU", "mAP50", "mAP", "T_acc", "N_acc", "Pr@0.5", "Pr@0.7", "Pr@0.9")
    assert list(kpi) == ["val_dataset", *(f"val_{name}" for name in names)]
    assert kpi["val_dataset"] == "coco_variant"
    assert (kpi["val_T_acc"], kpi["val_N_acc"]) == ("100.0", "100.0")
    assert 50 < float(kpi["val_mIoU"]) <= 100
    silent = dialect.measure(exact(examples, score=0.001), examples).kpi("val")
    assert (silent["val_T_acc"], silent["val_N_acc"]) == ("0.0", "100.0")


def test_another_data_type_is_refused(tiny_odvg: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Invalid data type"):
        masked(tiny_odvg, tmp_path, "COCO")


def test_objects_without_a_mask_are_refused(tiny_odvg: Path, tmp_path: Path) -> None:
    dialect = grounding.of(MASK, {}, ["circle"])
    with pytest.raises(KeyError, match="segmentation"):
        dialect.scoring(
            scoring(tiny_odvg, tmp_path, lambda document: document["annotations"][0].pop("segmentation")), "val"
        )


def test_masks_come_back_from_a_checkpoint(tiny_odvg: Path, tmp_path: Path) -> None:
    dialect, examples = masked(tiny_odvg, tmp_path, "OD")
    again = grounding.of(MASK, dialect.spec, dialect.names)
    again.restore(dialect.state())
    again.scoring(scoring(tiny_odvg, tmp_path), "val")
    assert again.measure(exact(examples), examples).kpi("val") == dialect.measure(exact(examples), examples).kpi("val")
