"""What networks say differently: how data is read, how classes are counted, and what is reported of detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.standin import coco_map, specfile
from tao_automl.standin import examples as datasets
from tao_automl.standin.coco_map import Detections
from tao_automl.standin.examples import Examples
from tao_automl.standin.learner import SIDE
from tao_automl.standin.weights import Arrays

Sources = Sequence[tuple[Path, ...]]


@dataclass(frozen=True)
class Measure:
    """What a validation or evaluation reports.

    values: as in status.json, `{}` stands for val or test.
    score: what the best checkpoint is chosen by, None where there is nothing to go by.
    lines: what is logged of it.
    file: a side file's name and content.
    """

    values: Mapping[str, str]
    score: float | None
    lines: tuple[str, ...] = ()
    file: tuple[str, Mapping[str, Any]] | None = None

    def kpi(self, split: str) -> dict[str, str]:
        """`split` is val or test."""
        return {name.format(split): value for name, value in self.values.items()}


class Dialect:
    """A network with numbered classes, as the spec says them: COCO files for training and for everything else.

    names: of the classes, empty where only their number matters.
    """

    def __init__(self, spec: dict[str, Any], names: Sequence[str] = ()) -> None:
        self.spec = spec
        self.names = tuple(names)
        self.class_ids: tuple[int, ...] = tuple(specfile.get(spec, "dataset.eval_class_ids", [1]))

    @property
    def classes(self) -> int:
        return int(specfile.get(self.spec, "dataset.num_classes", 91))

    def count(self, sources: Sources, _split: str, /) -> int:
        """Images of a split, which is train or val.

        Raises:
            FileNotFoundError, ValueError: an annotation file is not there or not what it should be.
        """
        return datasets.count(sources)

    def training(self, sources: Sources) -> Examples:
        """The examples to train on.

        Raises:
            FileNotFoundError, ValueError, KeyError, OSError: they cannot be read.
        """
        return datasets.load(sources, SIDE)

    def scoring(self, sources: Sources, _split: str, /) -> Examples:
        """The examples to score on, of the split val or test.

        Raises:
            FileNotFoundError, ValueError, KeyError, IndexError, OSError: they cannot be read.
        """
        return datasets.load(sources, SIDE)

    def after_epoch(self, examples: Examples) -> None:
        """What is learned beside classes and boxes."""

    def measure(self, found: Detections, examples: Examples) -> Measure:
        """Score detections on examples that `scoring` read."""
        scores = coco_map.evaluate(examples.truth, found, self.class_ids)
        lines = (f"\n Validation mAP : {scores.map}\n", f"\n Validation mAP50 : {scores.map50}\n")
        return Measure({"{}_mAP": str(scores.map), "{}_mAP50": str(scores.map50)}, scores.map50, lines)

    def state(self) -> Arrays:
        """What `after_epoch` learned, for the checkpoint."""
        return {}

    def restore(self, arrays: Arrays) -> None:
        """Go on from a checkpoint's arrays."""
