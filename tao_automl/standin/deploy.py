"""The actions of the deploy image: an engine from an ONNX file, and its evaluation and inference."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tao_automl.standin import coco_map, exported, grounding, inference, onnx_file, specfile, tasks, trt
from tao_automl.standin import examples as datasets
from tao_automl.standin.exported import Exported
from tao_automl.standin.grounding import LOGITS
from tao_automl.standin.learner import SIDE
from tao_automl.standin.masks import MaskHead
from tao_automl.standin.networks import Network
from tao_automl.standin.statuslog import StatusLog

LEAST_SELECTED = 100  # boxes: what the deploy image reads of DINO's, however many are selected
CACHE_HEAD = "TRT-8600-MinMaxCalibration"


def gen_trt_engine(spec: dict[str, Any], network: Network, _folder: Path, _log: StatusLog) -> None:
    """Build `gen_trt_engine.trt_engine` from `gen_trt_engine.onnx_file`.

    Raises:
        SystemExit: the file is no ONNX file of this trainer.
        FileNotFoundError, IsADirectoryError: a file or folder is not there, or the engine has no name.
        ValueError: the precision is not supported, or there is nothing to calibrate on.
        RuntimeError: the batch sizes contradict each other.
    """

    def setting(key: str, default: Any) -> Any:
        return specfile.get(spec, f"gen_trt_engine.{key}", default)

    source, made = Path(str(setting("onnx_file", ""))), str(setting("trt_engine", ""))
    precision = str(setting("tensorrt.data_type", "FP32")).lower()
    print("Parsing ONNX model", flush=True)
    detector = _parsed(source)
    least, best, most = (int(setting(f"tensorrt.{name}_batch_size", 1)) for name in ("min", "opt", "max"))
    if not least <= best <= most:
        raise RuntimeError(f"the profile needs kMIN <= kOPT <= kMAX, and has {least}, {best}, {most}")
    if precision == "int8" and network.grounded:
        raise ValueError("Int8 not supported!")
    if not made:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(Path.cwd()))
    if precision == "int8":
        _calibrate(detector, setting("tensorrt.calibration", {}))
    fixed = int(setting("batch_size", -1))
    trt.save(Path(made), trt.build(detector, precision, fixed if fixed > 0 else most))
    print(f"Export finished successfully: {precision} engine in {made}", flush=True)


def _parsed(path: Path) -> Exported:
    data = tasks.content(path)
    try:
        return exported.from_onnx(onnx_file.load(data))
    except (ValueError, TypeError) as error:
        print(f"Failed to load ONNX file: {path}: {error}", flush=True)
        raise SystemExit(1) from None


def _calibrate(detector: Exported, setting: dict[str, Any]) -> None:
    """Write the calibration cache, unless there is one: the highest output of each layer on the images.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: there is neither a cache nor an image.
    """
    cache = setting.get("cal_cache_file") or ""
    if cache and Path(cache).is_file():
        return
    named = setting.get("cal_image_dir") or []
    paths = _images([named] if isinstance(named, str) else named)
    paths = paths[: int(setting.get("cal_batch_size") or 1) * int(setting.get("cal_batches") or 1)]
    if not paths:
        raise ValueError("INT8 needs images in tensorrt.calibration.cal_image_dir, or a calibration cache")
    ranges = detector.learner().ranges(datasets.images_only(paths, SIDE))
    if cache:
        lines = [CACHE_HEAD, *(f"{name}: {float(value):.6g}" for name, value in ranges.items())]
        tasks.write(Path(cache), ("\n".join(lines) + "\n").encode())


def _images(folders: Iterable[str]) -> list[Path]:
    found = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise FileNotFoundError(f"[Errno 2] No such file or directory: '{folder}'")
        found += [path for path in sorted(folder.iterdir()) if path.suffix.lower() in datasets.SUFFIXES]
    return found


def _engine(spec: dict[str, Any], network: Network, action: str) -> Exported:
    """The detector of `<action>.trt_engine`.

    Raises:
        FileNotFoundError, ValueError: there is none, or it was built with other classes than the spec says, or for
            smaller batches than dataset.batch_size.
        IndexError: too few boxes are selected.
    """
    path = Path(str(specfile.get(spec, f"{action}.trt_engine", "")))
    if not path.is_file():
        raise FileNotFoundError(f"Provided {action}.trt_engine at {path} does not exist!")
    engine = trt.load(path)
    detector, batch = engine.detector, int(specfile.get(spec, "dataset.batch_size", 4))
    if batch > engine.max_batch:
        shapes = (f"({size},3,{SIDE},{SIDE})" for size in (batch, engine.max_batch))
        raise ValueError(f"could not broadcast input array from shape {' into shape '.join(shapes)}")
    classes = int(specfile.get(spec, "dataset.num_classes", detector.classes))
    if not network.grounded and classes != detector.classes:
        size = detector.recipe.num_queries * detector.classes
        raise ValueError(f"cannot reshape array of size {size} into shape ({detector.recipe.num_queries},{classes})")
    selected = int(specfile.get(spec, "model.num_select", LEAST_SELECTED))
    if network.name == "dino" and selected < LEAST_SELECTED:
        raise IndexError(f"index {selected} is out of bounds for axis 1 with size {selected}")
    return detector


def evaluate(spec: dict[str, Any], network: Network, folder: Path, _log: StatusLog) -> None:
    """Score an engine on `dataset.test_data_sources`; writes results.json."""
    detector = _engine(spec, network, "evaluate")
    sources = specfile.sources(specfile.get(spec, "dataset.test_data_sources"))
    specfile.require_files(sources)
    examples = grounding.of(network, spec, detector.names)
    data = examples.scoring(sources, "test")
    found = detector.learner().detect(data)
    scores = coco_map.evaluate(data.truth, found, examples.class_ids)
    results = {"AP": scores.map, "AP50": scores.map50}
    for name, value in results.items():
        print(f"{name}: {value:.9f}", flush=True)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")


def infer(spec: dict[str, Any], network: Network, folder: Path, _log: StatusLog) -> None:
    """Draw and list the boxes that an engine finds."""
    detector = _engine(spec, network, "inference")
    head = MaskHead(detector.arrays[LOGITS]) if network.masks else None
    finder = inference.Finder(detector.learner(), inference.names(spec, network, detector.names), head)
    threshold = float(specfile.get(spec, "inference.conf_threshold", inference.THRESHOLD))
    inference.draw(finder, inference.image_paths(spec), threshold, folder, network.grounded)
