"""Quantization of checkpoints and of ONNX files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from tao_automl.standin import weights
from tests.standin.conftest import Trainer
from tests.standin.lines import checkpoints

STATIC = {"quantize__mode": "static_ptq"}


def failure(trainer: Trainer) -> str:
    last = json.loads((trainer.folder / "quantize" / "status.json").read_text().splitlines()[-1])
    assert last["status"] == "FAILURE"
    return str(last["message"])


def test_a_checkpoint_is_rounded_in_8_bits_and_stays_one(trainer: Trainer) -> None:
    assert trainer.inside(train__num_epochs=1) == 0
    path = checkpoints(trainer.folder)[0]
    calibrated = {**STATIC, "quantize__backend": "modelopt.pytorch", "quantize__skip_names": ["head"]}
    data = trainer.spec({})["dataset"]["test_data_sources"]
    given: dict[str, Any] = {"quantize__model_path": str(path), "dataset__quant_calibration_data_sources": data}
    assert trainer.inside("quantize", **given, **calibrated) == 0
    made = weights.load(trainer.folder / "quantize" / "quantized_model_modelopt.pytorch.pth")
    before = weights.load(path)
    assert (made.epoch, made.step) == (before.epoch, before.step)
    assert np.array_equal(made.arrays["head.weight"], before.arrays["head.weight"])
    rounded = made.arrays["encoder.0.weight"]
    assert len(np.unique(rounded[:, 0])) <= 255 < rounded.shape[0]
    assert float(made.arrays["quant.range.backbone.0"]) > 0


def test_a_graph_is_rounded_and_still_builds_an_engine(trainer_of: Callable[[str], Trainer]) -> None:
    trainer = trainer_of("grounding_dino")
    assert trainer.inside(train__num_epochs=1) == 0
    graph = trainer.folder / "model.onnx"
    assert (
        trainer.inside("export", export__checkpoint=str(checkpoints(trainer.folder)[0]), export__onnx_file=str(graph))
        == 0
    )
    given = {"quantize__model_path": str(graph), "quantize__backend": "modelopt.onnx", **STATIC}
    train = trainer.spec({})["dataset"]["train_data_sources"][0]
    assert trainer.inside("quantize", dataset__quant_calibration_data_sources=train, **given) == 0
    made = trainer.folder / "quantize" / "quantized_model.onnx"
    model = onnx.load(str(made))
    onnx.checker.check_model(model, full_check=True)
    assert "DequantizeLinear" in {node.op_type for node in model.graph.node}
    engine = {"onnx_file": str(made), "trt_engine": str(trainer.folder / "model.engine")}
    assert trainer.inside("gen_trt_engine", gen_trt_engine=engine) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"quantize__backend": "magic"}, "Backend 'magic' is not registered"),
        ({"quantize__backend": "torchao", **STATIC}, "does not support mode 'static_ptq'"),
        ({"quantize__algorithm": "luck"}, "Unknown algorithm 'luck'"),
        ({"quantize__backend": "modelopt.onnx", **STATIC}, "takes a .onnx file"),
        ({"quantize__backend": "modelopt.pytorch", **STATIC}, "needs dataset.quant_calibration_data_sources"),
        ({}, "Checkpoint file not found: /x/model.pth"),
    ],
)
def test_what_the_backends_do_not_take_is_a_failure_line(trainer: Trainer, given: dict[str, Any], said: str) -> None:
    assert trainer.inside("quantize", quantize__model_path="/x/model.pth", **given) == 1
    assert said in failure(trainer)
