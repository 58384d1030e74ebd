"""A small convolutional detector over a grid of cells, with its backward pass, in numpy.

The image passes a backbone of two convolutions with strides 4 and 2, an encoder of 3 x 3 convolutions and a
decoder of 1 x 1 convolutions. No shortcuts lead around them, so a rate that is far too high stops the network
for good. Each cell of 8 x 8 pixels says a score for each class and the distances to the four sides of a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[Any]
Kind = type[np.floating[Any]]

STRIDE = 8  # pixels a cell
PRIOR = 0.01  # score of every class before training
BOX = 4  # outputs a cell for its box


@dataclass(frozen=True)
class Plan:
    """Sizes of a network: channels of the two backbone layers, of the rest, layers, and outputs a cell."""

    stem: int
    width: int
    enc_layers: int
    dec_layers: int
    classes: int


@dataclass(frozen=True)
class Conv:
    """A square convolution from `inputs` to `outputs` channels, and what follows it.

    dropped: its outputs may be dropped.
    linear: no rectifier follows.
    """

    name: str
    inputs: int
    outputs: int
    size: int
    stride: int = 1
    dropped: bool = False
    linear: bool = False

    @property
    def pad(self) -> int:
        return (self.size - self.stride + 1) // 2


def layers(plan: Plan) -> list[Conv]:
    """The layers in the order of the forward pass."""
    width = plan.width
    return [
        Conv("backbone.0", 3, plan.stem, 8, stride=4),
        Conv("backbone.1", plan.stem, width, 3, stride=2),
        *(Conv(f"encoder.{i}", width, width, 3, dropped=True) for i in range(plan.enc_layers)),
        *(Conv(f"decoder.{i}", width, width, 1, dropped=True) for i in range(plan.dec_layers)),
        Conv("head", width, plan.classes + BOX, 1, linear=True),
    ]


def columns(x: Array, conv: Conv) -> Array:
    """The inputs of each output cell as rows, (n * height * width, size * size * channels)."""
    size, stride, pad = conv.size, conv.stride, conv.pad
    count, height, width, channels = x.shape
    if size == 1:
        return x.reshape(-1, channels)
    padded = np.zeros((count, height + 2 * pad, width + 2 * pad, channels), dtype=x.dtype)
    padded[:, pad : pad + height, pad : pad + width] = x
    by_image, by_row, by_column, by_channel = padded.strides
    view = as_strided(
        padded,
        (count, height // stride, width // stride, size, size * channels),
        (by_image, by_row * stride, by_column * stride, by_row, by_channel),
        writeable=False,
    )
    return view.reshape(-1, size * size * channels)


def gather(rows: Array, shape: tuple[int, ...], conv: Conv) -> Array:
    """The reverse of `columns` for gradients: what each input of `shape` gave to all the rows, summed."""
    size, stride, pad = conv.size, conv.stride, conv.pad
    count, height, width, channels = shape
    if size == 1:
        return rows.reshape(shape)
    out_height, out_width = height // stride, width // stride
    parts = rows.reshape(count, out_height, out_width, size, size, channels)
    padded = np.zeros((count, height + 2 * pad, width + 2 * pad, channels), dtype=rows.dtype)
    for i in range(size):
        for j in range(size):
            down, right = slice(i, i + out_height * stride, stride), slice(j, j + out_width * stride, stride)
            padded[:, down, right] += parts[:, :, :, i, j]
    return padded[:, pad : pad + height, pad : pad + width]


class Network:
    """Weights as one flat vector with a named view for each array, and the two passes."""

    def __init__(self, plan: Plan, rng: np.random.Generator, dtype: Kind = np.float32) -> None:
        self.layers = layers(plan)
        self.weights = np.zeros(sum(_length(conv) for conv in self.layers), dtype=dtype)
        self.gradient = np.zeros_like(self.weights)
        self.arrays = dict(self.views(self.weights))
        self._gradients = dict(self.views(self.gradient))
        for conv in self.layers:
            self._fill(conv, rng)
        self.arrays["head.bias"][: plan.classes] = -np.log(1 / PRIOR - 1)

    def _fill(self, conv: Conv, rng: np.random.Generator) -> None:
        """Noise that keeps the variance; outputs begin small."""
        fan_in = conv.size * conv.size * conv.inputs
        spread = np.sqrt((0.1 if conv.linear else 2.0) / fan_in)
        weight = self.arrays[f"{conv.name}.weight"]
        weight[:] = rng.normal(0.0, spread, weight.shape)

    def views(self, vector: Array) -> Iterator[tuple[str, Array]]:
        """The parts of a vector as long as `weights`, by name of the array."""
        start = 0
        for conv in self.layers:
            rows = conv.size * conv.size * conv.inputs
            middle, end = start + rows * conv.outputs, start + _length(conv)
            yield f"{conv.name}.weight", vector[start:middle].reshape(rows, conv.outputs)
            yield f"{conv.name}.bias", vector[middle:end]
            start = end

    def forward(self, images: Array, dropout: float = 0.0, rng: np.random.Generator | None = None) -> Array:
        """Outputs (n, rows, columns, classes + 4) of images (n, side, side, 3); remembered for `backward`.

        `dropout` is the share of the outputs of encoder and decoder that is dropped, when an `rng` is given.
        """
        self._inputs: list[Array] = []
        self._outputs: list[Array] = []
        x = images
        for conv in self.layers:
            rows = columns(x, conv)
            y = rows @ self.arrays[f"{conv.name}.weight"]
            y += self.arrays[f"{conv.name}.bias"]
            if not conv.linear:
                np.maximum(y, 0, out=y)
            if conv.dropped and dropout > 0 and rng is not None:
                kept = rng.random(y.shape, dtype=np.float32) >= dropout
                y *= kept / max(1 - dropout, 1e-3)
            self._inputs.append(rows)
            self._outputs.append(y)
            x = y.reshape(len(x), x.shape[1] // conv.stride, x.shape[2] // conv.stride, conv.outputs)
        return x

    def ranges(self) -> dict[str, float]:
        """The highest output of each layer in the last `forward`."""
        return {
            conv.name: float(np.abs(y).max(initial=0.0)) for conv, y in zip(self.layers, self._outputs, strict=True)
        }

    def backward(self, slope: Array, dropout: float = 0.0) -> None:
        """Set `gradient` from the slope of the loss by the outputs of the last `forward`."""
        for place in range(len(self.layers) - 1, -1, -1):
            conv = self.layers[place]
            rows, y = self._inputs[place], self._outputs[place]
            flat = slope.reshape(-1, conv.outputs)
            if not conv.linear:
                flat = flat * (y > 0)
                if conv.dropped and dropout > 0:
                    flat /= max(1 - dropout, 1e-3)
            np.matmul(rows.T, flat, out=self._gradients[f"{conv.name}.weight"])
            flat.sum(axis=0, out=self._gradients[f"{conv.name}.bias"])
            if place == 0:
                return
            count, height, width, _ = slope.shape
            shape = (count, height * conv.stride, width * conv.stride, conv.inputs)
            slope = gather(flat @ self.arrays[f"{conv.name}.weight"].T, shape, conv)


def _length(conv: Conv) -> int:
    return (conv.size * conv.size * conv.inputs + 1) * conv.outputs
