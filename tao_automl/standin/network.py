"""A small convolutional network in numpy: forward, backward, and the loss of a grid detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
STRIDES = (2, 2, 2)  # of the first layers, which are the backbone
LEAK = 0.1  # slope of the activation below zero


@dataclass(frozen=True)
class Layer:
    """A 3 x 3 convolution, or with `size` 1 a linear map of each cell. Activated unless it is the last."""

    name: str
    size: int
    stride: int
    inputs: int
    outputs: int
    active: bool = True


def layers(width: int, context: int, hidden: int, outputs: int) -> tuple[Layer, ...]:
    """Backbone (three halvings), context at an eighth of the input's size, head."""
    widths = (width, 2 * width, 3 * width)
    backbone = [
        Layer(f"backbone.{number}", 3, stride, before, after)
        for number, (stride, before, after) in enumerate(zip(STRIDES, (3, *widths), widths, strict=False))
    ]
    around = [Layer(f"context.{number}", 3, 1, widths[-1], widths[-1]) for number in range(context)]
    head = [Layer("head.0", 1, 1, widths[-1], hidden), Layer("head.1", 1, 1, hidden, outputs, active=False)]
    return (*backbone, *around, *head)


def initial(plan: tuple[Layer, ...], rng: np.random.Generator) -> dict[str, Floats]:
    """Weights (inputs x size x size, outputs) after He, biases at zero."""
    weights: dict[str, Floats] = {}
    for layer in plan:
        fan_in = layer.inputs * layer.size**2
        scale = np.sqrt(2 / fan_in) if layer.active else 0.01
        weights[f"{layer.name}.weight"] = (rng.standard_normal((fan_in, layer.outputs)) * scale).astype(np.float32)
        weights[f"{layer.name}.bias"] = np.zeros(layer.outputs, dtype=np.float32)
    return weights


@dataclass(frozen=True)
class Trace:
    """What backward needs of one layer's forward."""

    layer: Layer
    columns: Floats
    shape: tuple[int, ...]
    slope: Floats | None


def forward(plan: tuple[Layer, ...], weights: dict[str, Floats], images: Floats) -> tuple[Floats, list[Trace]]:
    """Outputs (n, rows, columns, channels) of images (n, side, side, 3)."""
    traces = []
    signal = images
    for layer in plan:
        columns, grid = _columns(signal, layer)
        flat = columns @ weights[f"{layer.name}.weight"] + weights[f"{layer.name}.bias"]
        slope = np.where(flat > 0, np.float32(1), np.float32(LEAK)) if layer.active else None
        traces.append(Trace(layer, columns, signal.shape, slope))
        signal = (flat * slope if slope is not None else flat).reshape(*grid, layer.outputs)
    return signal, traces


def backward(weights: dict[str, Floats], traces: list[Trace], gradient: Floats) -> dict[str, Floats]:
    """Gradients of all weights from the gradient of the outputs."""
    gradients: dict[str, Floats] = {}
    for trace in reversed(traces):
        layer = trace.layer
        flat = gradient.reshape(-1, layer.outputs)
        if trace.slope is not None:
            flat = flat * trace.slope
        gradients[f"{layer.name}.weight"] = trace.columns.T @ flat
        gradients[f"{layer.name}.bias"] = flat.sum(axis=0)
        if layer is not traces[0].layer:
            gradient = _fold(flat @ weights[f"{layer.name}.weight"].T, trace)
    return gradients


def _columns(signal: Floats, layer: Layer) -> tuple[Floats, tuple[int, int, int]]:
    """Each output cell's inputs as a row."""
    if layer.size == 1:
        return signal.reshape(-1, layer.inputs), (signal.shape[0], signal.shape[1], signal.shape[2])
    padded = np.pad(signal, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = sliding_window_view(padded, (3, 3), axis=(1, 2))[:, :: layer.stride, :: layer.stride]
    number, rows, columns = windows.shape[:3]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 9 * layer.inputs), (number, rows, columns)


def _fold(columns: Floats, trace: Trace) -> Floats:
    """The gradient of a layer's input: each row added back to where it came from."""
    layer, (number, rows, width, channels) = trace.layer, trace.shape
    if layer.size == 1:
        return columns.reshape(trace.shape)
    step = layer.stride
    out_rows, out_width = (rows + step - 1) // step, (width + step - 1) // step
    parts = columns.reshape(number, out_rows, out_width, 3, 3, channels)
    padded = np.zeros((number, rows + 2, width + 2, channels), dtype=np.float32)
    for i in range(3):
        for j in range(3):
            padded[:, i : i + step * out_rows : step, j : j + step * out_width : step] += parts[:, :, :, i, j]
    return padded[:, 1:-1, 1:-1]
