"""Networks that find what captions name: classes are names, and what was never seen is found by nobody."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tao_automl.standin import dialect, mask_scores, masks, odvg, specfile
from tao_automl.standin.coco_map import Detections, Floats
from tao_automl.standin.dialect import Dialect, Measure, Sources
from tao_automl.standin.examples import Examples
from tao_automl.standin.learner import SIDE
from tao_automl.standin.mask_scores import Expression
from tao_automl.standin.networks import Network
from tao_automl.standin.weights import Arrays

MASK_SIDE = 48  # pixels: images are stretched to this for comparing masks
SURE = 0.05  # of the spec's text threshold: a network this small is never as sure of itself as the one it plays
TEXT_THRESHOLD = 0.3
LOGITS = "mask.logits"  # in a checkpoint
KINDS = ("OD", "VG")


class GroundingDialect(Dialect):
    """Trains on ODVG files and is scored on COCO files, whose category ids must be 0, 1, 2 …

    A category of the scored file is what its name says; eval_class_ids are ids of that file.
    """

    @property
    def classes(self) -> int:
        return len(self.names)

    def count(self, sources: Sources, split: str, /) -> int:
        return odvg.count(sources) if split == "train" else super().count(sources, split)

    def training(self, sources: Sources) -> Examples:
        examples = odvg.load(sources, SIDE)
        self.names = tuple(examples.names[number] for number in sorted(examples.names))
        return examples

    def scoring(self, sources: Sources, split: str, /) -> Examples:
        examples = super().scoring(sources, split)
        captions = [examples.names[number] for number in sorted(examples.names)]
        highest = int(examples.truth.category.max(initial=-1))
        if highest >= len(captions):
            raise IndexError(f"index {highest} is out of bounds for dimension 0 with size {len(captions)}")
        self.names += tuple(dict.fromkeys(name for name in captions if name not in self.names))
        place = np.array([self.names.index(name) for name in captions], dtype=np.int64)
        wanted = specfile.get(self.spec, "dataset.eval_class_ids", [1])
        self.class_ids = tuple(int(place[number]) for number in wanted if number < len(place))
        truth = dataclasses.replace(examples.truth, category=place[examples.truth.category])
        return dataclasses.replace(examples, truth=truth, names=dict(enumerate(self.names)))


class MaskDialect(GroundingDialect):
    """Also outlines what it finds. What it reports depends on the data type of what it is scored on.

    OD: by class, boxes and masks, 0 to 1, and nothing where nothing is found. VG: by expression, in per cent; an
    expression is the name of a category, on each image.
    """

    def __init__(self, spec: dict[str, Any], names: Sequence[str] = ()) -> None:
        super().__init__(spec, names)
        self._head: masks.MaskHead | None = None
        self._targets: Floats | None = None
        self._kind = ""
        self._dataset = "coco_variant"

    def training(self, sources: Sources) -> Examples:
        examples = super().training(sources)
        _require_outlines(examples, "mask")
        self._targets = masks.patches(examples)
        return examples

    def scoring(self, sources: Sources, split: str, /) -> Examples:
        self._kind = str(specfile.get(self.spec, f"dataset.{split}_data_sources.data_type", "") or "VG")
        assert self._kind in KINDS, f"Invalid data type: {self._kind}"
        if split == "test":
            self._dataset = Path(sources[0][1]).stem
        examples = super().scoring(sources, split)
        _require_outlines(examples, "segmentation")
        return examples

    @property
    def head(self) -> masks.MaskHead:
        """Made when the classes are known."""
        if self._head is None:
            self._head = masks.MaskHead.fresh(self.classes)
        return self._head

    def after_epoch(self, examples: Examples) -> None:
        rate = float(specfile.get(self.spec, "train.optim.lr", 2e-4)) * masks.RATE
        rate *= float(specfile.get(self.spec, "model.mask_loss_coef", 2.0))
        targets = masks.patches(examples) if self._targets is None else self._targets[: len(examples.outlines)]
        self.head.learn(targets, examples.truth.category, rate)

    def state(self) -> Arrays:
        return {LOGITS: self.head.logits}

    def restore(self, arrays: Arrays) -> None:
        self._head = masks.MaskHead(arrays[LOGITS])

    def measure(self, found: Detections, examples: Examples) -> Measure:
        limit = SURE * float(specfile.get(self.spec, "evaluate.text_threshold", TEXT_THRESHOLD))
        kept = found.score >= limit
        found = Detections(found.image[kept], found.category[kept], found.box[kept], found.score[kept])
        outlined = self.head.paste(found, examples.sizes, MASK_SIDE)
        truth = masks.whole(examples, MASK_SIDE)
        if self._kind == "OD":
            return self._by_class(found, outlined, examples, truth)
        return self._by_expression(found, outlined, examples, truth)

    def _by_class(self, found: Detections, outlined: masks.Bools, examples: Examples, truth: masks.Bools) -> Measure:
        overlaps = {
            "bbox": mask_scores.box_overlaps(found, examples.truth),
            "segm": mask_scores.mask_overlaps(outlined, truth),
        }
        scores = {
            kind: mask_scores.by_class(examples.truth, found, self.class_ids, iou) for kind, iou in overlaps.items()
        }
        values = {f"[{kind}] {{}}_{name}": str(value) for kind, of in scores.items() for name, value in of.items()}
        lines = tuple(
            f"\n{kind.upper()} OD Evaluation Results: " + ", ".join(f"{name} {value:.4f}" for name, value in of.items())
            for kind, of in scores.items()
        )
        return Measure(values, scores["bbox"].get("mAP@50"), lines, (f"{self._dataset}_results.json", scores))

    def _by_expression(
        self, found: Detections, outlined: masks.Bools, examples: Examples, truth: masks.Bools
    ) -> Measure:
        expressions = []
        for image in range(len(examples.images)):
            for category in self.class_ids:
                there = (examples.truth.image == image) & (examples.truth.category == category)
                here = (found.image == image) & (found.category == category)
                score = float(found.score[here].mean()) if here.any() else 0.0
                expressions.append(Expression(truth[there].any(axis=0), outlined[here].any(axis=0), score))
        scores = mask_scores.by_expression(expressions)
        values = {"{}_dataset": self._dataset, **{f"{{}}_{name}": str(value) for name, value in scores.items()}}
        file = (f"vg_{self._dataset}_metrics.json", scores)
        return Measure(values, scores["mAP50"], (str(scores),), file)


def _require_outlines(examples: Examples, key: str) -> None:
    """Raises:
    KeyError: an object has no outline.
    """
    if any(outline is None for outline in examples.outlines):
        raise KeyError(key)


def of(network: Network, spec: dict[str, Any], names: Sequence[str] = ()) -> Dialect:
    """A network's dialect; `names` are the classes of a trained one."""
    if network.masks:
        return MaskDialect(spec, names)
    return GroundingDialect(spec, names) if network.grounded else dialect.Dialect(spec)
