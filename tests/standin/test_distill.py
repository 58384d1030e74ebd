"""Learning from a teacher."""

from __future__ import annotations

import json

import numpy as np

from tao_automl.standin import distill, examples
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.recipe import Recipe
from tests.standin.conftest import Trainer
from tests.standin.lines import checkpoints

FAN = "fan_small_12_p4_hybrid"


def test_a_student_learns_from_a_teacher_of_another_size(trainer: Trainer) -> None:
    teacher = Trainer(trainer.data, trainer.folder / "teacher")
    teacher.folder.mkdir()
    assert teacher.inside(train__num_epochs=1, model__backbone=FAN) == 0
    given = {
        "distill__teacher": {"backbone": FAN},
        "distill__pretrained_teacher_model_path": str(checkpoints(teacher.folder)[0]),
        "dataset__augmentation": {"random_resize_max_size": 1333},
    }
    assert trainer.inside("distill", train__num_epochs=2, **given) == 0
    said = [json.loads(line) for line in (trainer.folder / "distill" / "status.json").read_text().splitlines()]
    assert said[0]["message"] == "Starting DINO distill."
    assert "1344" in said[1]["message"]
    assert said[-1]["message"] == "Distill finished successfully."
    assert [line["epoch"] for line in said if "epoch" in line] == [0, 1]
    assert (trainer.folder / "distill" / "dino_model_latest.pth").exists()


def test_only_fan_teachers_are_taken(trainer: Trainer) -> None:
    assert trainer.inside("distill", distill__teacher={"backbone": "resnet_50"}) == 1
    said = (trainer.folder / "distill" / "status.json").read_text().splitlines()
    assert len(said) == 1  # an assertion leaves no line


def test_a_teacher_adds_what_it_is_sure_of_and_nobody_annotated(tiny_data) -> None:
    folder = tiny_data / "train"
    data = examples.load([(folder / "images", folder / "annotations.json")], SIDE)
    teacher = Learner(Recipe(), 5, seed=1)
    for epoch in range(3):
        teacher.train_epoch(data, epoch)
    more = distill.taught(teacher, data)
    before = len(data.truth.box)
    found = teacher.detect(data)
    assert before < len(more.truth.box) <= before + int((found.score >= distill.SURE * found.score.max()).sum())
    assert np.array_equal(more.truth.box[:before], data.truth.box)
    assert len(more.outlines) == len(more.truth.box)
