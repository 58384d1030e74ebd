"""The quantize action: a trained network's weights in 8 bits, as a checkpoint or as an ONNX file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tao_automl.standin import examples as datasets
from tao_automl.standin import exported, odvg, onnx_file, specfile, tasks, weights
from tao_automl.standin.examples import Examples
from tao_automl.standin.exported import Exported
from tao_automl.standin.learner import SIDE
from tao_automl.standin.networks import Network
from tao_automl.standin.statuslog import StatusLog
from tao_automl.standin.weights import Arrays

ONNX = "modelopt.onnx"
BACKENDS = {"torchao": ("weight_only_ptq",), "modelopt.pytorch": ("static_ptq",), ONNX: ("static_ptq",)}
ALGORITHMS = ("minmax", "max", "entropy", "awq_clip", "awq_lite", "awq_full", "rtn_dq")
RANGE = "quant.range."  # and a layer: its highest output on the calibration data


def run(spec: dict[str, Any], network: Network, folder: Path, log: StatusLog) -> None:
    """Quantize `quantize.model_path` by the spec's backend.

    Raises:
        ValueError: the backend does not know the mode, the algorithm or the kind of file.
        FileNotFoundError: the model or the calibration data is not there.
        RuntimeError: the spec's architecture is not the checkpoint's.
    """
    backend = specfile.get(spec, "quantize.backend", "torchao")
    mode = specfile.get(spec, "quantize.mode", "weight_only_ptq")
    algorithm = specfile.get(spec, "quantize.algorithm", "minmax")
    path = Path(str(specfile.get(spec, "quantize.model_path", "")))
    if backend not in BACKENDS:
        raise ValueError(f"Backend '{backend}' is not registered. Available backends: {', '.join(BACKENDS)}")
    if mode not in BACKENDS[backend]:
        raise ValueError(f"Backend '{backend}' does not support mode '{mode}', only {', '.join(BACKENDS[backend])}")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"Unknown algorithm '{algorithm}'")
    suffix = ".onnx" if backend == ONNX else ".pth"
    if path.suffix != suffix:
        raise ValueError(f"Backend '{backend}' takes a {suffix} file, and quantize.model_path is '{path}'")
    log.log(f"Quantization backend selected: {backend}")
    data = _calibration(spec) if mode == "static_ptq" else None
    skip = [str(pattern) for pattern in specfile.get(spec, "quantize.skip_names", [])]
    if backend == ONNX:
        made = _onnx(path, data, skip, folder / "quantized_model.onnx")
    else:
        made = _checkpoint(
            tasks.Trained.of(spec, network, path, log), data, skip, folder / f"quantized_model_{backend}.pth"
        )
    log.log(f"Quantization complete, saved to {made}")


def _calibration(spec: dict[str, Any]) -> Examples:
    """The calibration data, a COCO file or an ODVG file."""
    sources = specfile.sources(specfile.get(spec, "dataset.quant_calibration_data_sources"))
    if not sources:
        raise ValueError("static_ptq needs dataset.quant_calibration_data_sources")
    specfile.require_files(sources)
    return odvg.load(sources, SIDE) if sources[0][1].suffix == ".jsonl" else datasets.load(sources, SIDE)


def _onnx(path: Path, data: Examples | None, skip: Sequence[str], made: Path) -> Path:
    graph = onnx_file.load(tasks.content(path))
    detector = exported.rounded(exported.from_onnx(graph), skip)
    ranges = _ranges(detector, data)
    quantized = exported.to_onnx(detector, graph.opset)
    meta = {**quantized.meta, **{name: str(array) for name, array in ranges.items()}}
    tasks.write(made, onnx_file.dump(dataclasses.replace(quantized, meta=meta)))
    return made


def _checkpoint(trained: tasks.Trained, data: Examples | None, skip: Sequence[str], made: Path) -> Path:
    detector = exported.rounded(trained.exported(), skip)
    arrays = {**trained.saved.arrays, **detector.arrays, **_ranges(detector, data)}
    weights.save(made, dataclasses.replace(trained.saved, arrays=arrays))
    return made


def _ranges(detector: Exported, data: Examples | None) -> Arrays:
    if data is None:
        return {}
    return {RANGE + name: value for name, value in detector.learner().ranges(data).items()}
