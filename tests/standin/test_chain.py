"""Each network's way from training to an engine, action after action, and what each leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from tao_automl.standin.networks import NETWORKS
from tests.standin.conftest import Trainer
from tests.standin.lines import SAMPLES, checkpoints, shape, shapes

METRIC = {name: "[bbox] {}_mAP@50" if network.masks else "{}_mAP50" for name, network in NETWORKS.items()}
VALIDATION = "Eval metrics generated."


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "status.json").read_text().splitlines()]


def ends_well(folder: Path, title: str, action: str, status: str) -> dict[str, Any]:
    """An action's first and last line are right; returns the last one's kpi."""
    said = lines(folder)
    assert (said[0]["status"], said[0]["message"]) == ("STARTED", f"Starting {title} {action}.")
    assert (said[-1]["status"], said[-1]["message"]) == (status, f"{action.capitalize()} finished successfully.")
    return said[-1].get("kpi", {})


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_goes_all_the_way(trainer_of: Callable[[str], Trainer], name: str) -> None:
    trainer, network = trainer_of(name), NETWORKS[name]
    root = trainer.folder
    assert trainer.inside(train__num_epochs=2) == 0
    ends_well(root / "train", network.title, "train", "RUNNING")
    said = [line["kpi"] for line in lines(root / "train") if line.get("message") == VALIDATION]
    best = checkpoints(root)[-1]
    assert (root / "train" / network.latest).resolve() == best.resolve()

    assert trainer.inside("evaluate", evaluate__checkpoint=str(best)) == 0
    kpi = ends_well(root / "evaluate", network.title, "evaluate", "RUNNING")
    assert kpi[METRIC[name].format("test")] == said[-1][METRIC[name].format("val")]
    assert {key.replace("test_", "val_") for key in kpi} == said[-1].keys() - {"val_loss"}

    assert trainer.inside("inference", inference__checkpoint=str(best), inference__conf_threshold=0.01) == 0
    labels = sorted((root / "inference" / "labels").iterdir())
    assert len(labels) == len(list((root / "inference" / "images_annotated").iterdir())) == 4
    asked = {"cross", "circle"} if network.grounded else {"circle", "square", "triangle", "cross", "0"}
    words = {line.split(" 0.00 0 ")[0] for path in labels for line in path.read_text().splitlines()}
    assert words
    assert words <= asked

    graph = root / "model.onnx"
    assert trainer.inside("export", export__checkpoint=str(best), export__onnx_file=str(graph)) == 0
    onnx.checker.check_model(onnx.load(str(graph)), full_check=True)
    weight_only = {"quantize__model_path": str(best), "quantize__results_dir": str(root / "q")}
    assert trainer.inside("quantize", **weight_only) == 0
    rounded = root / "q" / "quantized_model_torchao.pth"
    assert trainer.inside("evaluate", evaluate__checkpoint=str(rounded), evaluate__results_dir=str(root / "e")) == 0

    engine = {
        "onnx_file": str(graph),
        "trt_engine": str(root / "model.engine"),
        "tensorrt": {"data_type": "FP16", "max_batch_size": 2},
    }
    assert trainer.inside("gen_trt_engine", gen_trt_engine=engine) == 0
    ends_well(root / "gen_trt_engine", name, "gen_trt_engine", "SUCCESS")
    assert trainer.inside("evaluate", evaluate__trt_engine=engine["trt_engine"]) == 0
    ends_well(root / "trt_evaluate", name, "trt_evaluate", "SUCCESS")
    assert json.loads((root / "trt_evaluate" / "results.json").read_text()).keys() == {"AP", "AP50"}
    assert trainer.inside("inference", inference__trt_engine=engine["trt_engine"]) == 0
    assert len(list((root / "trt_inference" / "labels").iterdir())) == 4


def test_networks_with_captions_say_what_the_others_say(trainer_of: Callable[[str], Trainer]) -> None:
    trainer = trainer_of("grounding_dino")
    assert trainer.inside() == 0
    said, wanted = (
        shapes(path) for path in (trainer.folder / "train/status.json", SAMPLES / "success_3ep.status.json")
    )
    message = next(place for place, (key, _) in enumerate(said[0]) if key == "message")
    assert said[0][message] == ("message", "Starting Grounding DINO train.")
    assert said[1:-1] == wanted[1:-1]


@pytest.mark.parametrize(("kind", "sample"), [("OD", "mask_gdino_od_kpi"), ("VG", "mask_gdino_vg_kpi")])
def test_networks_with_masks_report_what_the_samples_show(
    trainer_of: Callable[[str], Trainer], kind: str, sample: str
) -> None:
    trainer = trainer_of("mask_grounding_dino")
    val = {**trainer.spec({})["dataset"]["val_data_sources"], "data_type": kind}
    assert trainer.inside(train__num_epochs=1, dataset__val_data_sources=val) == 0
    wanted = [json.loads(line) for line in (SAMPLES / f"{sample}.status.json").read_text().splitlines()][1]
    said = next(line for line in lines(trainer.folder / "train") if line.get("message") == VALIDATION)
    assert shape(said) == shape(wanted)


def test_a_broken_training_with_masks_goes_on_as_if_it_had_never_stopped(
    trainer_of: Callable[[str], Trainer], tmp_path_factory: pytest.TempPathFactory
) -> None:
    trainer = trainer_of("mask_grounding_dino")
    whole = Trainer(trainer.data, tmp_path_factory.mktemp("whole"), trainer.network)
    assert whole.inside(train__num_epochs=2) == 0
    assert trainer.inside(train__num_epochs=1) == 0
    assert trainer.inside(train__num_epochs=2) == 0
    assert checkpoints(trainer.folder)[-1].read_bytes() == checkpoints(whole.folder)[-1].read_bytes()


def test_categories_from_one_end_a_training_without_a_failure_line(
    trainer_of: Callable[[str], Trainer], tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of("grounding_dino")
    folder = tiny_data / "val"
    val = {"image_dir": str(folder / "images"), "json_file": str(folder / "annotations.json")}
    assert trainer.inside(dataset__val_data_sources=val) == 1
    assert "is out of bounds for dimension 0" in capsys.readouterr().err
    assert [line["status"] for line in lines(trainer.folder / "train")] == ["STARTED"]


def test_captions_may_lie_in_a_file_and_must_be_somewhere(trainer_of: Callable[[str], Trainer]) -> None:
    trainer = trainer_of("mask_grounding_dino")
    assert trainer.inside(train__num_epochs=1) == 0
    best, val = str(checkpoints(trainer.folder)[0]), trainer.data / "val"
    found = []
    for captions in (str(val / "inference.jsonl"), ["circle", "square", "triangle", "cross"]):
        data = {"image_dir": str(val / "images"), "captions": captions}
        words = {"inference__checkpoint": best, "inference__conf_threshold": 0.01, "dataset__infer_data_sources": data}
        assert trainer.inside("inference", **words) == 0
        labels = sorted((trainer.folder / "inference" / "labels").iterdir())
        found.append([path.read_text() for path in labels])
    assert found[0] == found[1] != [""] * 4
    none = {"image_dir": str(val / "images")}
    assert trainer.inside("inference", inference__checkpoint=best, dataset__infer_data_sources=none) == 1
    assert "'captions' field needs to be passed" in lines(trainer.folder / "inference")[-1]["message"]
