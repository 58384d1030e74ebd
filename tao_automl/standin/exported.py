"""A detector without its training: what export writes, quantization rounds and an engine is built from.

As an ONNX graph it takes `inputs`, (n, 3, side, side) of images brought to mean 0 and spread 1, and gives
`pred_logits`, (n, cells, classes), and `pred_boxes`, (n, cells, 4) as centre and size from 0 to 1; a network with masks
also `pred_masks`, for each cell the patch that its scores make likely. Its recipe and names are the file's metadata.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin import losses
from tao_automl.standin.grounding import LOGITS
from tao_automl.standin.learner import GRID, SIDE, Learner, plan
from tao_automl.standin.network import BOX, layers
from tao_automl.standin.onnx_file import Model, Node
from tao_automl.standin.recipe import Recipe
from tao_automl.standin.weights import Arrays

META = "standin"  # the key of the metadata
LEVELS = 127  # steps on each side of 0 of an 8-bit weight
_SHAPES = ("logits", "boxes")  # the two halves of the last layer


@dataclass(frozen=True)
class Exported:
    """Weights by the network's own names, with the recipe that says their shapes.

    names: of the classes, where the network has names for them.
    rounded: layers whose weights are kept in 8 bits.
    """

    network: str
    recipe: Recipe
    classes: int
    names: tuple[str, ...]
    arrays: Arrays
    rounded: frozenset[str] = frozenset()

    def learner(self) -> Learner:
        """The network, ready to detect."""
        learner = Learner(self.recipe, self.classes, seed=0)
        learner.load_weights(self.arrays)
        return learner


def of(network: str, recipe: Recipe, arrays: Arrays, classes: int, names: Sequence[str] = ()) -> Exported:
    """What is left of a checkpoint's arrays."""
    kept = {name for conv in layers(plan(recipe, classes)) for name in (f"{conv.name}.weight", f"{conv.name}.bias")}
    chosen = {name: array for name, array in arrays.items() if name in kept or name == LOGITS}
    return Exported(network, recipe, classes, tuple(names), chosen)


def rounded(exported: Exported, skip: Sequence[str] = ()) -> Exported:
    """The same with weights of 8 bits, but for layers whose name is like one of `skip`."""
    arrays = dict(exported.arrays)
    done = set()
    for conv in layers(plan(exported.recipe, exported.classes)):
        if any(fnmatch(conv.name, pattern) for pattern in skip):
            continue
        name = f"{conv.name}.weight"
        steps, scale = _steps(arrays[name].T)
        arrays[name] = (steps * scale[:, None]).T.astype(np.float32)
        done.add(conv.name)
    return dataclasses.replace(exported, arrays=arrays, rounded=frozenset(done))


def _steps(weight: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights, (outputs, …), as whole steps and the size of a step for each output."""
    highest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scale = np.where(highest > 0, highest / LEVELS, 1.0).astype(np.float32)
    steps = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
    return steps.astype(np.int8), scale


def to_onnx(exported: Exported, opset: int) -> Model:
    """The graph."""
    tensors: dict[str, NDArray[Any]] = {}
    nodes: list[Node] = []
    flow = "inputs"
    *body, head = layers(plan(exported.recipe, exported.classes))
    for conv in body:
        weight = exported.arrays[f"{conv.name}.weight"].reshape(conv.size, conv.size, conv.inputs, conv.outputs)
        _weights(exported, tensors, nodes, conv.name, weight.transpose(3, 2, 0, 1))
        tensors[f"{conv.name}.bias"] = exported.arrays[f"{conv.name}.bias"]
        sizes = {"kernel_shape": (conv.size,) * 2, "strides": (conv.stride,) * 2, "pads": (conv.pad,) * 4}
        inputs = (flow, f"{conv.name}.weight", f"{conv.name}.bias")
        nodes.append(Node("Conv", inputs, (f"{conv.name}.sum",), sizes))
        flow = f"{conv.name}.out"
        nodes.append(Node("Relu", (f"{conv.name}.sum",), (flow,), {}))
    weight, bias = exported.arrays["head.weight"], exported.arrays["head.bias"]
    for part, columns in zip(_SHAPES, (slice(None, -BOX), slice(-BOX, None)), strict=True):
        size = bias[columns].size
        own = np.ascontiguousarray(weight[:, columns].T).reshape(size, head.inputs, 1, 1)
        _weights(exported, tensors, nodes, f"head.{part}", own)
        tensors[f"head.{part}.bias"] = bias[columns].copy()
        tensors[f"{part}.shape"] = np.array([0, GRID * GRID, size], dtype=np.int64)
        inputs = (flow, f"head.{part}.weight", f"head.{part}.bias")
        nodes += [
            Node("Conv", inputs, (f"{part}.map",), {"kernel_shape": (1, 1)}),
            Node("Transpose", (f"{part}.map",), (f"{part}.last",), {"perm": (0, 2, 3, 1)}),
            Node("Reshape", (f"{part}.last", f"{part}.shape"), ("pred_logits" if part == "logits" else "sides",), {}),
        ]
    outputs: dict[str, tuple[int | str, ...]] = {"pred_logits": ("batch", GRID * GRID, exported.classes)}
    nodes += _boxes(tensors)
    outputs["pred_boxes"] = ("batch", GRID * GRID, BOX)
    if LOGITS in exported.arrays:
        nodes += _masks(tensors, exported.arrays[LOGITS])
        outputs["pred_masks"] = ("batch", GRID * GRID, tensors["mask.patches"].shape[1])
    described = {
        "network": exported.network,
        "recipe": dataclasses.asdict(exported.recipe),
        "classes": exported.classes,
        "names": list(exported.names),
        "rounded": sorted(exported.rounded),
    }
    inputs_ = {"inputs": ("batch", 3, SIDE, SIDE)}
    return Model(tuple(nodes), tensors, inputs_, outputs, {META: json.dumps(described)}, opset)


def _weights(exported: Exported, tensors: dict[str, Any], nodes: list[Node], name: str, weight: NDArray[Any]) -> None:
    """Put a layer's weights into the graph: as they are, or as whole steps that the graph multiplies out."""
    if ("head" if name.startswith("head.") else name) not in exported.rounded:
        tensors[f"{name}.weight"] = np.ascontiguousarray(weight)
        return
    steps, scale = _steps(weight)
    tensors[f"{name}.steps"], tensors[f"{name}.scale"] = steps, scale
    tensors[f"{name}.zero"] = np.zeros(len(scale), dtype=np.int8)
    inputs = (f"{name}.steps", f"{name}.scale", f"{name}.zero")
    nodes.append(Node("DequantizeLinear", inputs, (f"{name}.weight",), {"axis": 0}))


def _boxes(tensors: dict[str, Any]) -> list[Node]:
    """From what the last layer says of the four sides to centre and size."""
    centres = losses.centres(GRID)
    reach = losses.REACH / GRID
    turn = np.array([[-0.5, 0, 1, 0], [0, -0.5, 0, 1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]]) * reach
    tensors["boxes.lowest"] = np.array(-losses.LIMIT, dtype=np.float32)
    tensors["boxes.highest"] = np.array(losses.LIMIT, dtype=np.float32)
    tensors["boxes.turn"] = turn.astype(np.float32)
    tensors["boxes.centres"] = np.concatenate([centres, np.zeros_like(centres)], axis=1).astype(np.float32)
    return [
        Node("Clip", ("sides", "boxes.lowest", "boxes.highest"), ("sides.within",), {}),
        Node("Exp", ("sides.within",), ("sides.reach",), {}),
        Node("MatMul", ("sides.reach", "boxes.turn"), ("boxes.moved",), {}),
        Node("Add", ("boxes.moved", "boxes.centres"), ("pred_boxes",), {}),
    ]


def _masks(tensors: dict[str, Any], logits: NDArray[Any]) -> list[Node]:
    tensors["mask.patches"] = logits.reshape(len(logits), -1).astype(np.float32)
    return [
        Node("Sigmoid", ("pred_logits",), ("scores",), {}),
        Node("MatMul", ("scores", "mask.patches"), ("pred_masks",), {}),
    ]


def from_onnx(model: Model) -> Exported:
    """The detector of a graph that `to_onnx` made.

    Raises:
        ValueError: it is another one, or its weights are not those of its recipe.
    """
    try:
        said: Mapping[str, Any] = json.loads(model.meta[META])
        recipe = Recipe.again(said["recipe"])
        classes, arrays = int(said["classes"]), {}
        *body, head = layers(plan(recipe, classes))
        for conv in body:
            weight = _weight(model, conv.name).transpose(2, 3, 1, 0)
            arrays[f"{conv.name}.weight"] = weight.reshape(conv.size * conv.size * conv.inputs, conv.outputs)
            arrays[f"{conv.name}.bias"] = model.tensors[f"{conv.name}.bias"].reshape(conv.outputs)
        parts = [_weight(model, f"head.{part}").reshape(-1, head.inputs).T for part in _SHAPES]
        arrays["head.weight"] = np.concatenate(parts, axis=1).reshape(head.inputs, head.outputs)
        arrays["head.bias"] = np.concatenate([model.tensors[f"head.{part}.bias"] for part in _SHAPES])
        if "mask.patches" in model.tensors:
            patches = model.tensors["mask.patches"]
            side = int(patches.shape[1] ** 0.5)
            arrays[LOGITS] = patches.reshape(classes, side, side)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is no detector of this trainer: {error}") from None
    return Exported(said["network"], recipe, classes, tuple(said["names"]), arrays, frozenset(said["rounded"]))


def _weight(model: Model, name: str) -> NDArray[Any]:
    if f"{name}.weight" in model.tensors:
        return model.tensors[f"{name}.weight"]
    steps, scale = model.tensors[f"{name}.steps"], model.tensors[f"{name}.scale"]
    multiplied: NDArray[Any] = (steps * scale.reshape(-1, *[1] * (steps.ndim - 1))).astype(np.float32)
    return multiplied
