"""What an action must know of the model's structure, from the specs that led to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tao_automl import structure
from tao_automl.layout import skills_dir
from tao_automl.tao import keypath, skill
from tao_automl.tao.skill import Skill


@pytest.fixture(scope="module")
def dino() -> Skill:
    return skill.load(skills_dir() / "tao-train-dino")


def made(known: Skill, action: str, **values: Any) -> tuple[str, Mapping[str, Any]]:
    spec: dict[str, Any] = known.template(action)
    for path, value in values.items():
        spec = keypath.assign(spec, path.replace("__", "."), value)
    return action, spec


def carried(known: Skill, action: str, *lineage: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    return structure.carried(known, lineage, known.schema(action))


def test_the_keys_that_the_skill_lists_are_carried_and_all_that_was_changed(dino: Skill) -> None:
    found = carried(dino, "export", made(dino, "train", model__num_queries=500, model__dn_number=50))
    assert set(dino.facts.carry) <= set(found)
    assert (found["model.num_queries"], found["model.dn_number"], found["model.backbone"]) == (500, 50, "resnet_50")
    assert "model.pe_temperatureH" not in found


def test_how_it_was_trained_and_on_what_stays_behind(dino: Skill) -> None:
    data = [{"image_dir": "/a", "json_file": "/b"}]
    trained = made(
        dino,
        "train",
        train__num_epochs=3,
        dataset__train_data_sources=data,
        dataset__val_data_sources=data,
        model__pretrained_backbone_path="/w",
    )
    found = carried(dino, "evaluate", trained)
    assert not [path for path in found if path.startswith("train.")]
    assert not [path for path in found if "data_sources" in path or "pretrained" in path]


def test_the_batch_that_fitted_the_data_is_carried(dino: Skill) -> None:
    assert carried(dino, "evaluate", made(dino, "train", dataset__batch_size=1))["dataset.batch_size"] == 1


def test_what_is_below_a_key_goes_where_the_action_has_it(dino: Skill) -> None:
    found = carried(dino, "distill", made(dino, "train", model__num_queries=500))
    assert found["distill.teacher.num_queries"] == 500
    assert found["dataset.num_classes"] == 91
    assert not [path for path in found if path.startswith("model.")]


def test_a_student_has_the_structure_of_its_own_training(dino: Skill) -> None:
    trained = made(dino, "train", model__num_queries=500, model__dn_number=50, dataset__num_classes=5)
    student = made(dino, "distill", model__num_queries=200, dataset__num_classes=5)
    found = carried(dino, "export", trained, student)
    assert (found["model.num_queries"], found["dataset.num_classes"]) == (200, 5)
    assert "model.dn_number" not in found


def test_an_engine_is_fed_what_was_exported(dino: Skill) -> None:
    trained = made(dino, "train", model__num_queries=500)
    exported = made(dino, "export", model__num_queries=500, export__input_width=640)
    built = made(dino, "gen_trt_engine", model__num_queries=500)
    found = carried(dino, "deploy_inference", trained, exported, built)
    assert (found["inference.input_width"], found["inference.input_height"]) == (640, 544)
    assert found["model.num_queries"] == 500
    assert "inference.input_width" not in carried(dino, "inference", trained)


@pytest.mark.parametrize("between", [(), ("export",)])
def test_data_of_one_kind_is_evaluated_as_that_kind(between: tuple[str, ...]) -> None:
    masks = skill.load(skills_dir() / "tao-train-mask-grounding-dino")
    val, test = "dataset.val_data_sources.data_type", "dataset.test_data_sources.data_type"
    lineage = [made(masks, "train", dataset__val_data_sources__data_type="VG")]
    for name in between:
        found = carried(masks, name, *lineage)
        lineage.append(made(masks, name, **{path.replace(".", "__"): found[path] for path in (val, test)}))
    assert carried(masks, "evaluate", *lineage)[test] == "VG"
