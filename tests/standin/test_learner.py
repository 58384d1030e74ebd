from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tao_automl.standin import examples, shapes
from tao_automl.standin.coco_map import Truth
from tao_automl.standin.examples import Examples
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.recipe import Recipe

CLASSES = 5
CLASS_IDS = (1, 2, 3, 4)


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """Training that goes wrong is quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shapes")
    shapes.write(path, train=96, val=24)
    return path


@pytest.fixture(scope="module")
def sets(folder: Path) -> tuple[Examples, Examples]:
    one, two = (
        examples.load([(folder / split / "images", folder / split / "annotations.json")], SIDE)
        for split in ("train", "val")
    )
    return one, two


@pytest.fixture(scope="module")
def few(sets: tuple[Examples, Examples]) -> Examples:
    return sets[0].head(10)


def made(seed: int = 1, classes: int = CLASSES, **recipe: Any) -> Learner:
    return Learner(Recipe(**recipe), classes, seed)


def digest(learner: Learner) -> str:
    total = hashlib.sha256()
    for name, array in learner.state().items():
        total.update(name.encode())
        total.update(array.tobytes())
    return total.hexdigest()


def trained(learner: Learner, data: Examples, epochs: range = range(2)) -> str:
    for epoch in epochs:
        learner.train_epoch(data, epoch)
    return digest(learner)


def best(sets: tuple[Examples, Examples], epochs: int, **recipe: Any) -> float:
    learner, scores = made(**recipe), []
    for epoch in range(epochs):
        learner.train_epoch(sets[0], epoch)
        scores.append(learner.validate(sets[1], CLASS_IDS)[0].map50)
    return max(scores)


def test_the_defaults_learn_and_a_hundredfold_or_hundredth_rate_does_not(sets) -> None:
    learned = best(sets, 5)
    assert learned > 0.08
    assert best(sets, 3, lr=0.02) < min(0.05, learned / 2)
    assert best(sets, 3, lr=2e-6, lr_backbone=2e-7) < min(0.05, learned / 2)


def test_a_higher_rate_and_smaller_batches_learn_more_than_the_defaults(sets) -> None:
    assert best(sets, 4, lr=8e-4, lr_backbone=1e-4, batch_size=2) > best(sets, 4) + 0.1


@pytest.mark.parametrize("recipe", [{"lr": 0.02}, {"lr": 1e30}, {"optimizer": "SGD", "lr": 1e6}])
def test_training_that_goes_wrong_ends_with_a_number_and_boxes(few: Examples, recipe: dict[str, Any]) -> None:
    learner = made(**recipe)
    losses = [learner.train_epoch(few, epoch) for epoch in range(3)]
    assert all(isinstance(loss, float) for loss in losses)
    assert not losses[-1] < 3
    scores, _ = learner.validate(few, CLASS_IDS)
    assert 0 <= scores.map50 < 0.05
    assert np.isfinite(learner.detect(few).box).all()


@pytest.mark.parametrize("recipe", [{}, {"optimizer": "SGD"}, {"dropout_ratio": 0.3}])
def test_the_same_seed_gives_the_same_bits_another_does_not(few: Examples, recipe: dict[str, Any]) -> None:
    first = trained(made(7, **recipe), few)
    assert first == trained(made(7, **recipe), few)
    assert first != trained(made(8, **recipe), few)


def test_a_fresh_process_gives_the_same_bits(folder: Path, few: Examples) -> None:
    code = (
        "import sys; from pathlib import Path; from tao_automl.standin import examples\n"
        "from tao_automl.standin.learner import SIDE, Learner; from tao_automl.standin.recipe import Recipe\n"
        "import hashlib; folder = Path(sys.argv[1])\n"
        "data = examples.load([(folder / 'images', folder / 'annotations.json')], SIDE).head(10)\n"
        "learner = Learner(Recipe(), 5, 7)\n"
        "[learner.train_epoch(data, epoch) for epoch in range(2)]\n"
        "total = hashlib.sha256()\n"
        "[total.update(name.encode() + array.tobytes()) for name, array in learner.state().items()]\n"
        "print(total.hexdigest())\n"
    )
    words = [sys.executable, "-c", code, str(folder / "train")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said.strip() == trained(made(7), few)


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
def test_a_restored_learner_goes_on_to_the_same_bits(few: Examples, optimizer: str) -> None:
    whole = made(3, optimizer=optimizer)
    trained(whole, few)
    halfway = whole.state()
    other = made(99, optimizer=optimizer)
    other.restore(halfway)
    assert other.step == whole.step == 4
    # The seed is the trainer's to keep: batches and flips are drawn from it.
    same = made(3, optimizer=optimizer)
    same.restore(halfway)
    assert trained(same, few, range(2, 4)) == trained(whole, few, range(2, 4))


def test_an_epoch_goes_on_after_the_batches_it_has_done(few: Examples) -> None:
    whole, cut = made(), made()
    whole.train_epoch(few, 0)

    def stop(batch: int, _of: int, _loss: float) -> None:
        if batch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.train_epoch(few, 0, stop)
    cut.train_epoch(few, 0, skip=1)
    assert digest(cut) == digest(whole)


def test_each_batch_is_told(few: Examples) -> None:
    told: list[tuple[int, int, float]] = []
    learner = made(batch_size=3)
    mean = learner.train_epoch(few, 0, lambda *seen: told.append(seen))
    assert [(batch, of) for batch, of, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert learner.batches(few) == learner.step == 3
    assert mean == pytest.approx(np.mean([loss for _, _, loss in told]))


def test_a_batch_larger_than_the_set_is_the_set(few: Examples) -> None:
    learner = made(batch_size=64)
    learner.train_epoch(few, 0)
    assert learner.batches(few) == learner.step == 1


def test_a_state_is_a_copy(few: Examples) -> None:
    learner = made()
    before = learner.state()
    trained(learner, few)
    assert any((before[name] != array).any() for name, array in learner.state().items())
    assert before["optimizer.steps"] == 0


def test_weights_of_other_shapes_are_skipped_and_the_rest_is_taken() -> None:
    other, learner = made(5, classes=9), made(1)
    learner.load_weights(other.state())
    state, given = learner.state(), other.state()
    assert (state["backbone.0.weight"] == given["backbone.0.weight"]).all()
    assert state["head.weight"].shape != given["head.weight"].shape
    assert (state["head.weight"] == made(1).state()["head.weight"]).all()
    assert learner.step == 0


def test_the_backbone_has_its_own_rate(few: Examples) -> None:
    learner = made(lr_backbone=0.0)
    before = learner.state()
    trained(learner, few)
    changed = {name for name, array in learner.state().items() if (array != before[name]).any()}
    assert not any(name.startswith("backbone") for name in changed)
    assert "head.weight" in changed


def test_detections_are_limited_and_lie_in_their_images(sets: tuple[Examples, Examples]) -> None:
    learner = made(num_select=3, lr=8e-4)
    trained(learner, sets[0], range(1))
    found = learner.detect(sets[1])
    assert len(found.score) > 0
    assert np.bincount(found.image).max() <= 3
    assert (found.box >= 0).all()
    assert (found.box[:, :2] + found.box[:, 2:] <= sets[1].sizes[found.image] + 1e-6).all()


def test_validation_scores_what_is_detected(sets: tuple[Examples, Examples]) -> None:
    learner = made(lr=8e-4)
    trained(learner, sets[0], range(3))
    (scores, loss), again = learner.validate(sets[1], CLASS_IDS), learner.validate(sets[1], CLASS_IDS)
    assert (scores, loss) == again
    assert 0 < scores.map < scores.map50 < 1
    assert learner.validate(sets[1], [0])[0].map50 == -1


def test_a_set_without_boxes_trains_and_has_no_score(few: Examples) -> None:
    none = np.zeros(0, dtype=np.int64)
    truth = Truth(none, none, np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=bool))
    bare = Examples(few.images, few.sizes, truth, few.categories)
    learner = made()
    assert learner.train_epoch(bare, 0) > 0
    assert learner.validate(bare, CLASS_IDS)[0].map50 == -1


def test_a_category_beyond_the_classes_is_refused(few: Examples) -> None:
    learner = made(classes=2)
    with pytest.raises(ValueError, match="does not fit 2 classes"):
        learner.train_epoch(few, 0)
    with pytest.raises(ValueError, match="does not fit 2 classes"):
        learner.validate(few, CLASS_IDS)
