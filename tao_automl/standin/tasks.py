"""The actions on a trained checkpoint: evaluate, inference, export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.standin import exported, grounding, inference, onnx_file, refusals, specfile, weights
from tao_automl.standin.dialect import Dialect
from tao_automl.standin.exported import Exported
from tao_automl.standin.grounding import MaskDialect
from tao_automl.standin.learner import Learner
from tao_automl.standin.networks import Network
from tao_automl.standin.recipe import Recipe
from tao_automl.standin.statuslog import StatusLog
from tao_automl.standin.weights import Saved

ENGINE = ".engine"
OPSETS = range(13, 22)


@dataclass(frozen=True)
class Trained:
    """The network of a spec with the weights of a checkpoint."""

    learner: Learner
    dialect: Dialect
    saved: Saved
    recipe: Recipe

    @classmethod
    def of(cls, spec: dict[str, Any], network: Network, path: Path, log: StatusLog) -> Trained:
        """Raises:
        FileNotFoundError, ValueError: there is no such checkpoint.
        RuntimeError: the spec's architecture is not the checkpoint's.
        """
        saved, recipe = weights.load(path), Recipe.of(spec)
        log.log(f"Loading checkpoint: {path}")
        dialect = grounding.of(network, spec, saved.names)
        learner = Learner(recipe, dialect.classes, seed=0)
        weights.require_same_shapes({**learner.state(), **dialect.state()}, saved.arrays)
        learner.restore(saved.arrays)
        dialect.restore(saved.arrays)
        return cls(learner, dialect, saved, recipe)

    def exported(self) -> Exported:
        """Without what only training needs."""
        arrays, dialect = self.saved.arrays, self.dialect
        return exported.of(self.saved.network, self.recipe, arrays, dialect.classes, dialect.names)

    def finder(self, spec: dict[str, Any], network: Network) -> inference.Finder:
        """Raises:
        FileNotFoundError, ValueError: the spec does not say what to find.
        """
        head = self.dialect.head if isinstance(self.dialect, MaskDialect) else None
        return inference.Finder(self.learner, inference.names(spec, network, self.dialect.names), head)


def _of_action(spec: dict[str, Any], network: Network, action: str, log: StatusLog) -> Trained:
    """What `<action>.checkpoint` holds.

    Raises:
        NotImplementedError: it is an engine, which the deploy image reads.
    """
    path = Path(str(specfile.get(spec, f"{action}.checkpoint", "")))
    if path.suffix == ENGINE:
        raise NotImplementedError(f"TensorRT {action} is supported through tao-deploy, not for {path}")
    return Trained.of(spec, network, path, log)


def evaluate(spec: dict[str, Any], network: Network, _folder: Path, log: StatusLog) -> None:
    """Score a checkpoint on `dataset.test_data_sources`."""
    sources = specfile.sources(specfile.get(spec, "dataset.test_data_sources"))
    specfile.require_files(sources)
    trained = _of_action(spec, network, "evaluate", log)
    examples = trained.dialect.scoring(sources, "test")
    refusals.too_little(len(examples.images), refusals.step(spec, "evaluate"), "evaluation")
    found = trained.learner.detect(examples) if network.grounded else trained.learner.assess(examples)[0]
    log.kpi = trained.dialect.measure(found, examples).kpi("test")
    log.write("Test metrics generated.")


def export(spec: dict[str, Any], network: Network, folder: Path, log: StatusLog) -> None:
    """Write `export.onnx_file`.

    Raises:
        AssertionError: the file is there already; it is not overwritten.
        ValueError: the operator set is not known.
    """
    path = Path(specfile.get(spec, "export.onnx_file", "") or folder / "model.onnx")
    assert not path.exists(), f"Default onnx file {path} already exists"
    opset = int(specfile.get(spec, "export.opset_version", 17))
    if opset not in OPSETS:
        raise ValueError(f"Unsupported ONNX opset version: {opset}")
    trained = _of_action(spec, network, "export", log)
    write(path, onnx_file.dump(exported.to_onnx(trained.exported(), opset)))
    log.log(f"ONNX file stored at {path}")


def infer(spec: dict[str, Any], network: Network, folder: Path, log: StatusLog) -> None:
    """Draw and list the boxes found in the images of `dataset.infer_data_sources.image_dir`."""
    paths = inference.image_paths(spec)
    refusals.too_little(len(paths), refusals.step(spec, "inference"), "inference")
    trained = _of_action(spec, network, "inference", log)
    threshold = float(specfile.get(spec, "inference.conf_threshold", inference.THRESHOLD))
    inference.draw(trained.finder(spec, network), paths, threshold, folder, network.grounded)


def content(path: Path) -> bytes:
    """Raises:
    FileNotFoundError: it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{path}'")
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    """Write a file that appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.part")
    fresh.write_bytes(data)
    fresh.rename(path)
