"""The distill action: a training that also learns from what a trained teacher finds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tao_automl.standin import coco_map, specfile, train, weights
from tao_automl.standin.coco_map import Truth
from tao_automl.standin.environment import Diary
from tao_automl.standin.examples import Examples
from tao_automl.standin.learner import Learner
from tao_automl.standin.networks import Network
from tao_automl.standin.recipe import Recipe
from tao_automl.standin.statuslog import StatusLog

LONGEST_SIDE = 1344  # pixels: to which student and teacher must stretch images
SURE = 0.5  # of the teacher's best score: from there on it is believed
NEW = 0.5  # IoU with a true box of the class, below which a box is something else


def run(spec: dict[str, Any], network: Network, folder: Path, log: StatusLog) -> None:
    """Train the spec's model with the teacher's boxes among the true ones.

    Raises:
        AssertionError: the teacher's backbone is no FAN.
        FileNotFoundError, ValueError: there is no such teacher.
        RuntimeError: `distill.teacher` is not the teacher's architecture.
    """
    size = specfile.get(spec, "dataset.augmentation.random_resize_max_size", LONGEST_SIDE)
    if size != LONGEST_SIDE:
        log.write(f"Overriding random resize max size to recommended {LONGEST_SIDE} for distillation")
    teacher = _teacher(spec)
    weight = float(specfile.get(spec, "model.distillation_loss_coef", 1.0))
    with Diary(folder, spec):
        training = train.Training(spec, network, folder, log)
        if weight > 0:
            training.teach(lambda examples: taught(teacher, examples))
        training.run()


def _teacher(spec: dict[str, Any]) -> Learner:
    model = specfile.get(spec, "distill.teacher", {})
    backbone = str(model.get("backbone", "fan_small_12_p4_hybrid"))
    assert backbone.startswith("fan"), f"Teacher backbone {backbone} is not supported, only FAN backbones are"
    saved = weights.load(Path(str(specfile.get(spec, "distill.pretrained_teacher_model_path", ""))))
    recipe = Recipe.of({"model": {**model, "backbone": backbone}, "train": spec.get("train") or {}})
    learner = Learner(recipe, int(specfile.get(spec, "dataset.num_classes", 91)), seed=0)
    weights.require_same_shapes(learner.state(), saved.arrays)
    learner.restore(saved.arrays)
    return learner


def taught(teacher: Learner, examples: Examples) -> Examples:
    """The examples with the boxes that the teacher is sure of and that nobody has annotated."""
    found, truth = teacher.detect(examples), examples.truth
    sure = np.flatnonzero(found.score >= SURE * found.score.max(initial=0.0))
    new = []
    for row in sure:
        there = (truth.image == found.image[row]) & (truth.category == found.category[row])
        shared = coco_map.overlaps(found.box[[row]], truth.box[there], truth.crowd[there])
        if shared.max(initial=0.0) < NEW:
            new.append(row)
    rows = np.array(new, dtype=np.int64)
    more = Truth(
        np.concatenate([truth.image, found.image[rows]]),
        np.concatenate([truth.category, found.category[rows]]),
        np.concatenate([truth.box, found.box[rows]]),
        np.concatenate([truth.area, found.box[rows, 2] * found.box[rows, 3]]),
        np.concatenate([truth.crowd, np.zeros(len(rows), dtype=bool)]),
    )
    return dataclasses.replace(examples, truth=more, outlines=(*examples.outlines, *[None] * len(rows)))
