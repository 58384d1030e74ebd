"""Exported detectors as ONNX files: the onnx package is the judge of the graph and of its numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from tao_automl.standin import examples, exported, onnx_file
from tao_automl.standin.exported import Exported
from tao_automl.standin.grounding import LOGITS
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.recipe import Recipe

CLASSES = 3


@pytest.fixture
def detector() -> Exported:
    rng = np.random.default_rng(3)
    recipe = Recipe(hidden_dim=64, num_select=20)
    arrays = Learner(recipe, CLASSES, seed=1).state()
    spread = {name: (array + rng.normal(0, 0.05, array.shape)).astype(np.float32) for name, array in arrays.items()}
    masks = {LOGITS: rng.normal(size=(CLASSES, 14, 14)).astype(np.float32)}
    return exported.of("mask_grounding_dino", recipe, {**spread, **masks}, CLASSES, ("a", "b c", "d"))


def same(one: Exported, two: Exported) -> bool:
    return one.arrays.keys() == two.arrays.keys() and all(
        np.allclose(array, two.arrays[name], atol=1e-6) for name, array in one.arrays.items()
    )


@pytest.mark.parametrize(("opset", "rounded"), [(17, False), (19, True)])
def test_the_graph_is_valid_and_finds_what_the_network_finds(
    detector: Exported, tiny_data: Path, opset: int, rounded: bool
) -> None:
    if rounded:
        detector = exported.rounded(detector)
    model = onnx.load_model_from_string(onnx_file.dump(exported.to_onnx(detector, opset)))
    onnx.checker.check_model(model, full_check=True)
    assert [item.name for item in model.graph.input] == ["inputs"]
    paths = sorted((tiny_data / "val" / "images").iterdir())[:2]
    data = examples.images_only(paths, SIDE)
    inputs = data.images.astype(np.float32)
    inputs -= inputs.mean(axis=(1, 2, 3), keepdims=True)
    inputs /= inputs.std(axis=(1, 2, 3), keepdims=True) + 1.0
    logits, boxes, masks = ReferenceEvaluator(model).run(None, {"inputs": inputs.transpose(0, 3, 1, 2)})
    assert masks.shape == (2, 144, 14 * 14)
    found = detector.learner().detect(data)
    score = 1 / (1 + np.exp(-logits))
    for row in range(len(found.score)):
        image, category = found.image[row], found.category[row]
        cell = int(np.abs(score[image, :, category] - found.score[row]).argmin())
        assert score[image, cell, category] == pytest.approx(found.score[row], abs=1e-5)
        middle, size = boxes[image, cell, :2], boxes[image, cell, 2:]
        corners = np.concatenate([middle - size / 2, middle + size / 2]).clip(0, 1) * SIDE
        assert np.allclose(np.concatenate([corners[:2], corners[2:] - corners[:2]]), found.box[row], atol=1e-2)


def test_a_detector_comes_back_from_its_file(detector: Exported) -> None:
    back = exported.from_onnx(onnx_file.load(onnx_file.dump(exported.to_onnx(detector, 17))))
    assert same(back, detector)
    assert (back.recipe, back.names, back.classes) == (detector.recipe, detector.names, CLASSES)


def test_rounded_weights_have_255_values_an_output_and_come_back_as_they_are(detector: Exported) -> None:
    done = exported.rounded(detector, skip=["head", "dec*"])
    assert {name.split(".")[0] for name in done.rounded} == {"backbone", "encoder"}
    assert np.array_equal(done.arrays["head.weight"], detector.arrays["head.weight"])
    column = done.arrays["encoder.0.weight"][:, 0]
    assert len(np.unique(column)) <= 255
    assert np.abs(column - detector.arrays["encoder.0.weight"][:, 0]).max() <= np.abs(column).max() / 254 + 1e-7
    back = exported.from_onnx(onnx_file.load(onnx_file.dump(exported.to_onnx(done, 17))))
    assert same(back, done)
    assert back.rounded == done.rounded


@pytest.mark.parametrize("data", [b"", b"hello", b"\x08\x08\x12\x01x"])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"graph|cut off|wire type"):
        onnx_file.load(data)


def test_a_graph_of_others_is_refused() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    weight = onnx.numpy_helper.from_array(np.ones((2, 3), dtype=np.float32), "w")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "other", [x], [y], [weight]))
    read = onnx_file.load(model.SerializeToString())
    assert [item.op for item in read.nodes] == ["Relu"]
    assert np.array_equal(read.tensors["w"], np.ones((2, 3)))
    with pytest.raises(ValueError, match="no detector of this trainer"):
        exported.from_onnx(read)
