"""Engine files: an exported detector at the precision that it was built for. They play TensorRT engines."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tao_automl.standin import exported
from tao_automl.standin.exported import Exported
from tao_automl.standin.recipe import Recipe
from tao_automl.standin.weights import META

PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Engine:
    """An engine: its detector, whose weights are already rounded, and what it was built with."""

    detector: Exported
    precision: str
    max_batch: int


def build(detector: Exported, precision: str, max_batch: int) -> Engine:
    """Round the weights to a precision.

    Raises:
        ValueError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"Unsupported precision: {precision}")
    if precision == "int8":
        detector = exported.rounded(detector)
    elif precision == "fp16":
        halves = {name: array.astype(np.float16).astype(np.float32) for name, array in detector.arrays.items()}
        detector = dataclasses.replace(detector, arrays=halves)
    return Engine(detector, precision, max_batch)


def save(path: Path, engine: Engine) -> None:
    """Write an engine file; it appears complete or not at all."""
    detector = engine.detector
    meta = {
        "network": detector.network,
        "recipe": dataclasses.asdict(detector.recipe),
        "classes": detector.classes,
        "names": list(detector.names),
        "precision": engine.precision,
        "max_batch": engine.max_batch,
    }
    kind = np.float16 if engine.precision == "fp16" else np.float32
    arrays = {name: array.astype(kind) for name, array in detector.arrays.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.part")
    with fresh.open("wb") as file:
        np.savez(file, **{**arrays, META: np.array(json.dumps(meta))})  # type: ignore[arg-type]  # numpy's stub
    fresh.rename(path)


def load(path: Path) -> Engine:
    """Read an engine file.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no engine of this trainer.
    """
    if not path.is_file():
        raise FileNotFoundError(f"Provided engine at {path} does not exist!")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name].astype(np.float32) for name in archive.files if name != META}
            meta = json.loads(str(archive[META]))
        recipe, names = Recipe.again(meta["recipe"]), tuple(meta["names"])
        detector = Exported(meta["network"], recipe, int(meta["classes"]), names, arrays)
        return Engine(detector, meta["precision"], int(meta["max_batch"]))
    except (OSError, KeyError, TypeError, ValueError):
        raise ValueError(f"{path} is no engine of this trainer") from None
