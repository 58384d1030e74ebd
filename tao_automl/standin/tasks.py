"""The actions on a trained checkpoint: evaluate, inference, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tao_automl.standin import examples as datasets
from tao_automl.standin import specfile, weights
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.networks import Network
from tao_automl.standin.recipe import Recipe
from tao_automl.standin.statuslog import StatusLog

THRESHOLD = 0.5  # of the score, for boxes that are drawn


def trained(spec: dict[str, Any], action: str, log: StatusLog) -> Learner:
    """The network of the spec with the weights of `<action>.checkpoint`.

    Raises:
        FileNotFoundError, ValueError: there is no such checkpoint.
        RuntimeError: the spec's architecture is not the checkpoint's.
    """
    path = Path(str(specfile.get(spec, f"{action}.checkpoint", "")))
    learner = Learner(Recipe.of(spec), int(specfile.get(spec, "dataset.num_classes", 91)), seed=0)
    saved = weights.load(path)
    log.log(f"Loading checkpoint: {path}")
    weights.require_same_shapes(learner.state(), saved.arrays)
    learner.restore(saved.arrays)
    return learner


def evaluate(spec: dict[str, Any], _network: Network, _folder: Path, log: StatusLog) -> None:
    """Score a checkpoint on `dataset.test_data_sources`."""
    sources = specfile.pairs(specfile.get(spec, "dataset.test_data_sources"))
    specfile.require_files(sources)
    learner = trained(spec, "evaluate", log)
    scores, _ = learner.validate(datasets.load(sources, SIDE), specfile.get(spec, "dataset.eval_class_ids", [1]))
    log.kpi = {"test_mAP": str(scores.map), "test_mAP50": str(scores.map50)}
    log.write("Test metrics generated.")


def export(spec: dict[str, Any], _network: Network, folder: Path, log: StatusLog) -> None:
    """Write `export.onnx_file`: the weights as an archive of arrays, which is no ONNX graph.

    Raises:
        AssertionError: the file is there already; it is not overwritten.
    """
    learner = trained(spec, "export", log)
    path = Path(specfile.get(spec, "export.onnx_file", "") or folder / "model.onnx")
    assert not path.exists(), f"Default onnx file {path} already exists"
    fresh = path.with_name(f".{path.name}.part")
    with fresh.open("wb") as file:
        np.savez(file, **learner.state())  # type: ignore[arg-type]  # numpy's stub takes keyword arrays for its flag
    fresh.rename(path)
    log.log(f"ONNX file stored at {path}")


def inference(spec: dict[str, Any], _network: Network, folder: Path, log: StatusLog) -> None:
    """Draw and list the boxes found in the images of `dataset.infer_data_sources.image_dir`."""
    named = specfile.get(spec, "dataset.infer_data_sources.image_dir", [])
    folders = [Path(item) for item in ([named] if isinstance(named, str) else named)]
    missing = [item for item in folders if not item.is_dir()]
    if missing:
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{missing[0]}'")
    learner = trained(spec, "inference", log)
    paths = [path for item in folders for path in sorted(item.iterdir()) if path.suffix.lower() in datasets.SUFFIXES]
    found = learner.detect(datasets.images_only(paths, SIDE))
    threshold = float(specfile.get(spec, "inference.conf_threshold", THRESHOLD))
    names = _class_names(specfile.get(spec, "dataset.infer_data_sources.classmap", ""))
    for part in ("images_annotated", "labels"):
        (folder / part).mkdir(exist_ok=True)
    for number, path in enumerate(paths):
        rows = np.flatnonzero((found.image == number) & (found.score >= threshold))
        image = Image.open(path).convert("RGB")
        draw, lines = ImageDraw.Draw(image), []
        for row in rows:
            left, top, width, height = (float(value) for value in found.box[row])
            draw.rectangle((left, top, left + width, top + height), outline=(255, 64, 0))
            category = int(found.category[row])
            name = names.get(category, str(category))
            box = f"{left:.2f} {top:.2f} {left + width:.2f} {top + height:.2f}"
            lines.append(f"{name} 0.00 0 0.00 {box} 0.00 0.00 0.00 0.00 0.00 0.00 0.00 {found.score[row]:.3f}\n")
        image.save(folder / "images_annotated" / path.name)
        (folder / "labels" / f"{path.stem}.txt").write_text("".join(lines), encoding="utf-8")


def _class_names(path: str) -> dict[int, str]:
    """Names of a class map: one a line in the order of the ids, or a JSON object of id to name."""
    if not path:
        return {}
    text = Path(path).read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):
        return {int(key): str(name) for key, name in json.loads(text).items()}
    return dict(enumerate(text.split()))
