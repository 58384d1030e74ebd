"""The metrics of Mask Grounding DINO, which depend on the kind of its validation data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl import launch
from tao_automl.errors import UsageError
from tao_automl.layout import skills_dir
from tao_automl.tao import keypath, skill, spec, status
from tao_automl.tao.skill import Skill

SAMPLES = Path(__file__).parents[1] / "data" / "status_samples"
KIND = "dataset.val_data_sources.data_type"
TUNED = "[bbox] val_mAP@50"


@pytest.fixture(scope="module")
def masks() -> Skill:
    return skill.load(skills_dir() / "tao-train-mask-grounding-dino")


def reported(name: str) -> dict[str, object]:
    kpi = status.Progress().advance(status.read(SAMPLES / f"{name}.status.json").lines).kpi
    assert kpi is not None
    return dict(kpi)


def launched(masks: Skill, **values: object) -> dict[str, object]:
    own = {item.path: item.value for item in masks.facts.launch}
    given = {masks.shorthand.get(name, name): value for name, value in values.items()}
    return spec.build(masks.template("train"), {**own, **given}, {})


@pytest.mark.parametrize(("sample", "kind"), [("mask_gdino_od_kpi", "OD"), ("mask_gdino_vg_kpi", "VG")])
def test_every_metric_is_reported_with_its_kind_of_data_only(masks: Skill, sample: str, kind: str) -> None:
    kpi = reported(sample)
    found = {name for name, metric in masks.facts.metrics.items() if metric.value(kpi) is not None}
    stated = {name for name, metric in masks.facts.metrics.items() if metric.needs in ({}, {KIND: kind})}
    assert found == stated


def test_the_metric_is_a_fraction_of_boxes_and_in_percent_of_texts(masks: Skill) -> None:
    metrics = masks.facts.metrics
    assert metrics[TUNED].value(reported("mask_gdino_od_kpi")) == 0.487
    assert metrics["val_mAP50"].value(reported("mask_gdino_vg_kpi")) == 40.1


def test_an_epoch_without_predictions_has_no_value(masks: Skill) -> None:
    metric = masks.facts.metrics[TUNED]
    points = {0: metric.value({"val_loss": 21.7}), 1: metric.value({TUNED: "0.01", "val_loss": 20.0})}
    assert points[0] is None
    assert metric.best(points) == (1, 0.01)


def test_a_launch_measures_boxes_and_keeps_the_kind_beside_the_data(masks: Skill) -> None:
    data = {"image_dir": "/val/images", "json_file": "/val/annotations.json"}
    found = launched(masks, **{"dataset.val_data_sources": data})
    assert keypath.get(found, "dataset.val_data_sources") == {**data, "data_type": "OD"}


@pytest.mark.parametrize("part", ["val", "test", "infer"])
def test_the_short_name_of_the_kind_means_the_same(masks: Skill, part: str) -> None:
    name = f"{part}_data_sources.data_type"
    assert launch.user_values(masks, masks.schema("train"), {name: "VG"}, "train") == {f"dataset.{name}": "VG"}
    found = launched(masks, **{name: "VG"})
    assert keypath.get(found, f"dataset.{name}") == "VG"
    assert "image_dir" in keypath.get(found, f"dataset.{part}_data_sources")


def test_a_metric_that_the_data_cannot_give_is_refused(masks: Skill) -> None:
    boxes, texts = launched(masks), launched(masks, **{KIND: "VG"})
    launch.check_metric(masks, masks.facts.metrics[TUNED], boxes)
    launch.check_metric(masks, masks.facts.metrics["val_mAP50"], texts)
    launch.check_metric(masks, masks.facts.metrics["val_loss"], texts)
    with pytest.raises(UsageError, match=r"is reported with \S+ OD only, which is VG") as raised:
        launch.check_metric(masks, masks.facts.metrics[TUNED], texts)
    assert raised.value.tip == f"--set {KIND}=OD, or --metric val_mAP50"


@pytest.mark.parametrize(("name", "metric"), [("bbox_mAP50", TUNED), ("segm_mAP", "[segm] val_mAP@50-95")])
def test_names_with_brackets_have_short_ones(masks: Skill, name: str, metric: str) -> None:
    assert next(item.name for item in masks.facts.metrics.values() if name in item.aliases) == metric
