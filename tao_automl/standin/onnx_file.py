"""ONNX files: a graph of operators with its weights, written and read without the onnx package.

Field numbers are those of onnx.proto. What is read is what `dump` writes: nodes, weights, metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin.protobuf import Value, chunk, fields, integer, signed

IR_VERSION = 8
PRODUCER = "tao-automl stand-in"
_TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): 1,
    np.dtype(np.int8): 3,
    np.dtype(np.int64): 7,
    np.dtype(np.float16): 10,
}
_DTYPES = {number: dtype for dtype, number in _TYPES.items()}
_INT, _INTS = 2, 7  # kinds of attributes

Shape = Sequence[int | str]  # a name stands for a size that is left open


@dataclass(frozen=True)
class Node:
    """One operator; its attributes are whole numbers or lists of them."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, int | tuple[int, ...]]


@dataclass(frozen=True)
class Model:
    """A graph. `inputs` and `outputs` are float tensors with their shapes, `meta` is free text by key."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, NDArray[Any]]
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    meta: Mapping[str, str]
    opset: int


def dump(model: Model) -> bytes:
    """The file's content."""
    graph = b"".join(chunk(1, _node(node)) for node in model.nodes)
    graph += chunk(2, "detector")
    graph += b"".join(chunk(5, _tensor(name, array)) for name, array in model.tensors.items())
    graph += b"".join(chunk(11, _value(name, shape)) for name, shape in model.inputs.items())
    graph += b"".join(chunk(12, _value(name, shape)) for name, shape in model.outputs.items())
    meta = b"".join(chunk(14, chunk(1, key) + chunk(2, value)) for key, value in model.meta.items())
    opset = chunk(8, chunk(1, "") + integer(2, model.opset))
    return integer(1, IR_VERSION) + chunk(2, PRODUCER) + chunk(7, graph) + opset + meta


def load(data: bytes) -> Model:
    """The graph of a file. Shapes of inputs and outputs are not read.

    Raises:
        ValueError: it is no ONNX file, or has weights of a kind that is not written here.
    """
    content = _by_field(data)
    if 7 not in content or 8 not in content:
        raise ValueError("it has no graph")
    graph = _by_field(_bytes(content[7][0]))
    tensors = dict(_read_tensor(_bytes(item)) for item in graph.get(5, []))
    meta = {}
    for item in content.get(14, []):
        pair = _by_field(_bytes(item))
        meta[_text(pair[1][0])] = _text(pair[2][0])
    return Model(
        tuple(_read_node(_bytes(item)) for item in graph.get(1, [])),
        tensors,
        dict.fromkeys(_names(graph.get(11, [])), ()),
        dict.fromkeys(_names(graph.get(12, [])), ()),
        meta,
        max(number for item in content[8] for number in signed(_by_field(_bytes(item)).get(2, [0])[0])),
    )


def _node(node: Node) -> bytes:
    data = b"".join(chunk(1, name) for name in node.inputs) + b"".join(chunk(2, name) for name in node.outputs)
    data += chunk(3, node.outputs[0]) + chunk(4, node.op)
    for name, value in node.attributes.items():
        one = isinstance(value, int)
        said = integer(3, value) if isinstance(value, int) else b"".join(integer(8, item) for item in value)
        data += chunk(5, chunk(1, name) + said + integer(20, _INT if one else _INTS))
    return data


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    data = b"".join(integer(1, size) for size in array.shape) + integer(2, _TYPES[array.dtype])
    return data + chunk(8, name) + chunk(9, array.tobytes())


def _value(name: str, shape: Shape) -> bytes:
    sizes = b"".join(chunk(1, integer(1, size) if isinstance(size, int) else chunk(2, size)) for size in shape)
    return chunk(1, name) + chunk(2, chunk(1, integer(1, 1) + chunk(2, sizes)))


def _by_field(data: bytes) -> dict[int, list[Value]]:
    found: dict[int, list[Value]] = {}
    for field, value in fields(data):
        found.setdefault(field, []).append(value)
    return found


def _read_node(data: bytes) -> Node:
    found = _by_field(data)
    attributes: dict[str, int | tuple[int, ...]] = {}
    for item in found.get(5, []):
        said = _by_field(_bytes(item))
        many = tuple(number for value in said.get(8, []) for number in signed(value))
        attributes[_text(said[1][0])] = signed(said[3][0])[0] if 3 in said else many
    inputs, outputs = (tuple(_text(item) for item in found.get(field, [])) for field in (1, 2))
    return Node(_text(found[4][0]), inputs, outputs, attributes)


def _read_tensor(data: bytes) -> tuple[str, NDArray[Any]]:
    found = _by_field(data)
    kind = found.get(2, [0])[0]
    if kind not in _DTYPES or 9 not in found:
        raise ValueError(f"its weights are of kind {kind!r}")
    shape = [number for value in found.get(1, []) for number in signed(value)]
    array = np.frombuffer(_bytes(found[9][0]), dtype=_DTYPES[int(kind)])  # little-endian, as numpy is here
    return _text(found[8][0]), array.reshape(shape)


def _names(items: Sequence[Value]) -> list[str]:
    return [_text(_by_field(_bytes(item))[1][0]) for item in items]


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where a message should be")
    return value


def _text(value: Value) -> str:
    return _bytes(value).decode()
