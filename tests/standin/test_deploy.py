"""What the deploy image does: engines from ONNX files, at a precision, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tao_automl.standin import deploy, exported, onnx_file, trt
from tao_automl.standin.exported import Exported
from tao_automl.standin.learner import Learner
from tao_automl.standin.networks import NETWORKS
from tao_automl.standin.recipe import Recipe
from tao_automl.standin.statuslog import StatusLog
from tests.standin.conftest import Trainer
from tests.standin.lines import checkpoints

DINO, GROUNDING = NETWORKS["dino"], NETWORKS["grounding_dino"]
CLASSES = 5


@pytest.fixture
def detector() -> Exported:
    recipe = Recipe()
    return exported.of("dino", recipe, Learner(recipe, CLASSES, seed=1).state(), CLASSES)


@pytest.fixture
def graph(detector: Exported, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_file.dump(exported.to_onnx(detector, 17)))
    return path


def build(graph: Path, network: Any = DINO, engine: str = "model.engine", **tensorrt: Any) -> Path:
    made = graph.with_name(engine) if engine else ""
    spec = {"gen_trt_engine": {"onnx_file": str(graph), "trt_engine": str(made), "tensorrt": tensorrt}}
    deploy.gen_trt_engine(spec, network, graph.parent, StatusLog(graph.parent / "status.json"))
    return graph.with_name(engine)


@pytest.mark.parametrize(("precision", "most"), [("FP32", 1e-7), ("FP16", 3e-3), ("INT8", 1e-2)])
def test_an_engine_has_its_weights_at_its_precision(
    detector: Exported, graph: Path, tiny_data: Path, precision: str, most: float
) -> None:
    images = {"cal_image_dir": [str(tiny_data / "val" / "images")], "cal_batch_size": 2}
    engine = trt.load(build(graph, data_type=precision, calibration=images, max_batch_size=4))
    assert (engine.precision, engine.max_batch) == (precision.lower(), 4)
    off = max(np.abs(array - detector.arrays[name]).max() for name, array in engine.detector.arrays.items())
    assert off <= most
    assert (off > most / 1000) == (precision != "FP32")


def test_int8_leaves_a_calibration_cache_and_reads_it_again(graph: Path, tiny_data: Path) -> None:
    cache = graph.with_name("cal.bin")
    images = {"cal_image_dir": str(tiny_data / "val" / "images"), "cal_cache_file": str(cache), "cal_batches": 2}
    build(graph, data_type="INT8", calibration=images)
    first = cache.read_text()
    assert "backbone.0: " in first
    build(graph, engine="again.engine", data_type="INT8", calibration={"cal_cache_file": str(cache)})
    assert cache.read_text() == first
    with pytest.raises(ValueError, match="cal_image_dir"):
        build(graph, data_type="INT8")
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        build(graph, data_type="INT8", calibration={"cal_image_dir": ["/nowhere"]})


def test_what_cannot_be_built_leaves_no_engine(graph: Path) -> None:
    with pytest.raises(ValueError, match="Int8 not supported!"):
        build(graph, GROUNDING, data_type="INT8")
    with pytest.raises(ValueError, match="precision"):
        build(graph, data_type="FP4")
    with pytest.raises(RuntimeError, match="kMIN <= kOPT <= kMAX"):
        build(graph, opt_batch_size=8, max_batch_size=4)
    with pytest.raises(IsADirectoryError):
        build(graph, engine="")
    with pytest.raises(FileNotFoundError, match=r"gone\.onnx"):
        build(graph.with_name("gone.onnx"))
    assert not graph.with_name("model.engine").exists()


def test_what_is_no_graph_ends_the_process(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(SystemExit) as ended:
        build(graph)
    assert ended.value.code == 1
    assert "Failed to load ONNX file" in capsys.readouterr().out


def evaluate(engine: Path, tiny_data: Path, **more: Any) -> Path:
    val = {"image_dir": str(tiny_data / "val" / "images"), "json_file": str(tiny_data / "val" / "annotations.json")}
    data = {"test_data_sources": val, "num_classes": CLASSES, "batch_size": 2}
    spec: dict[str, dict[str, Any]] = {"evaluate": {"trt_engine": str(engine)}, "dataset": data}
    for group, values in more.items():
        spec[group] = {**spec.get(group, {}), **values}
    deploy.evaluate(spec, DINO, engine.parent, StatusLog(engine.parent / "status.json"))
    return engine.parent / "results.json"


def test_an_engine_is_scored_as_what_it_was_built_as(graph: Path, tiny_data: Path) -> None:
    engine = build(graph, max_batch_size=2)
    assert json.loads(evaluate(engine, tiny_data).read_text()).keys() == {"AP", "AP50"}
    with pytest.raises(ValueError, match="cannot reshape array"):
        evaluate(engine, tiny_data, dataset={"num_classes": 9})
    with pytest.raises(ValueError, match=r"shape \(4,3,96,96\) into shape \(2,3,96,96\)"):
        evaluate(engine, tiny_data, dataset={"batch_size": 4})
    with pytest.raises(IndexError, match="out of bounds"):
        evaluate(engine, tiny_data, model={"num_select": 50})
    with pytest.raises(FileNotFoundError, match="does not exist"):
        evaluate(engine.with_name("gone.engine"), tiny_data)
    with pytest.raises(ValueError, match="no engine of this trainer"):
        evaluate(graph, tiny_data)


def test_each_image_has_its_own_actions(trainer_of: Callable[[str], Trainer]) -> None:
    trainer = trainer_of("grounding_dino")

    def refused(action: str, image: str = "") -> subprocess.CompletedProcess[str]:
        return trainer.command(trainer.network, action, env={"STANDIN_IMAGE": image})

    done = refused("gen_trt_engine", "train")
    assert (done.returncode, "invalid choice: 'gen_trt_engine'" in done.stderr) == (2, True)
    assert refused("train", "deploy").returncode == 2
    assert refused("distill").returncode == 2  # only one of the networks has it
    assert refused("gen_trt_engine").returncode == 1  # it wants a spec


def test_the_train_image_reads_no_engine(trainer_of: Callable[[str], Trainer]) -> None:
    trainer = trainer_of("deformable_detr")
    assert trainer.inside("evaluate", evaluate__checkpoint="/x/model.engine") == 1
    last = json.loads((trainer.folder / "evaluate" / "status.json").read_text().splitlines()[-1])
    assert last["message"].startswith("Feature not implemented: TensorRT evaluate is supported through tao-deploy")
    assert checkpoints(trainer.folder) == []
