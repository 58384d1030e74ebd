from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao import checkpoint
from tao_automl.tao.checkpoint import Checkpoint
from tao_automl.tao.facts import CheckpointNames
from tao_automl.tao.metric import Direction, Metric

SAMPLES = Path(__file__).parents[1] / "data" / "status_samples"
NAMES = CheckpointNames(
    folder="train",
    file="model_epoch_{epoch:03d}_step_{step:05d}.pth",
    latest="toy_latest.pth",
    best_file="model_best_{epoch:03d}.pth",
)
MAP = Metric("val_mAP", Direction.MAXIMIZE)
LOSS = Metric("val_loss", Direction.MINIMIZE)

checkpoints = st.lists(
    st.builds(
        lambda epoch, step, best: file(epoch, None if best else step, best),
        st.integers(0, 6),
        st.integers(1, 4),
        st.booleans(),
    ),
    unique=True,
    max_size=10,
)
points = st.dictionaries(st.integers(0, 6), st.none() | st.sampled_from([0.1, 0.2, 0.3]))


def file(epoch: int, step: int | None = None, best: bool = False) -> Checkpoint:
    return Checkpoint(Path(f"{epoch}-{step}-{best}"), epoch, step, best)


def laid_out(sample: str, root: Path) -> Path:
    """The file tree of a real run, with empty files."""
    for row in (SAMPLES / f"{sample}.files.txt").read_text().splitlines():
        name, _, target = row.strip().partition(" ")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        else:
            path.touch()
    return root / "train"


@pytest.mark.parametrize(
    ("sample", "found"),
    [
        ("success_3ep", [(0, 10, False), (1, 20, False), (2, 30, False)]),
        ("topk_val_mAP_max_6ep", [(4, None, True), (5, 60, False)]),
        ("val_every_2_ckpt_every_4_6ep", [(3, 40, False)]),
        ("fail_sigterm", [(0, 10, False), (1, 14, False)]),
        ("bad_interval", []),
    ],
)
def test_the_files_of_a_real_run_are_found(
    tmp_path: Path, sample: str, found: list[tuple[int, int | None, bool]]
) -> None:
    files = checkpoint.scan(laid_out(sample, tmp_path), NAMES)
    assert [(item.epoch, item.step, item.best) for item in files] == found
    assert all(item.path.exists() for item in files)


def test_links_unfinished_files_and_folders_are_no_checkpoints(tmp_path: Path) -> None:
    good = tmp_path / "model_epoch_1000_step_123456.pth"
    good.touch()
    for name in (
        "model_epoch_001_step_00010.pth.tmp",
        "model_epoch_01_step_00010.pth",
        "xmodel_best_001.pth",
    ):
        (tmp_path / name).touch()
    (tmp_path / "model_epoch_002_step_00020.pth").symlink_to(good)
    (tmp_path / "model_epoch_003_step_00030.pth").mkdir()
    assert checkpoint.scan(tmp_path, NAMES) == (Checkpoint(good, 1000, 123456),)
    assert checkpoint.scan(tmp_path / "none", NAMES) == ()


def test_a_name_may_have_no_step(tmp_path: Path) -> None:
    (tmp_path / "m_7.(pth)").touch()
    names = CheckpointNames(folder="train", file="m_{epoch}.(pth)", latest="latest")
    assert [(item.epoch, item.step) for item in checkpoint.scan(tmp_path, names)] == [(7, None)]


def test_the_best_epoch_gives_the_file() -> None:
    files = [file(0, 10), file(1, 20), file(2, 30)]
    best = checkpoint.choose(files, {0: 0.1, 1: 0.31, 2: 0.28}, MAP)
    assert best is not None
    assert (best.epoch, best.value) == (1, 0.31)
    lowest = checkpoint.choose(files, {0: 0.1, 1: 0.31, 2: 0.28}, LOSS)
    assert lowest is not None
    assert lowest.epoch == 0


def test_the_highest_step_of_an_epoch_counts() -> None:
    best = checkpoint.choose([file(1, 13), file(1, 20), file(1, None, best=True)], {1: 0.5}, MAP)
    assert best is not None
    assert (best.step, best.best) == (20, False)


def test_the_trainers_best_file_serves_where_the_epoch_has_no_other() -> None:
    best = checkpoint.choose([file(4, None, best=True), file(5, 60)], {4: 0.34, 5: 0.2}, MAP)
    assert best is not None
    assert (best.epoch, best.best) == (4, True)


def test_without_a_file_of_the_best_epoch_the_best_of_the_others_is_chosen() -> None:
    best = checkpoint.choose([file(0, 10), file(2, 30)], {0: 0.1, 1: 0.9, 2: 0.3}, MAP)
    assert best is not None
    assert (best.epoch, best.value) == (2, 0.3)


def test_a_file_without_a_value_is_never_chosen() -> None:
    assert checkpoint.choose([file(0, 10)], {0: None}, MAP) is None
    assert checkpoint.choose([file(3, 10)], {0: 0.5}, MAP) is None
    assert checkpoint.choose([], {0: 0.5}, MAP) is None


def test_best_newest_and_not_yet_validated_files_stay() -> None:
    files = [file(0, 10), file(1, 20), file(2, 30), file(3, 40), file(4, 50), file(5, 60)]
    gone = checkpoint.superfluous(files, {0: 0.1, 1: 0.31, 2: 0.28, 3: 0.2}, MAP)
    assert [item.epoch for item in gone] == [0, 2, 3]


def test_the_trainers_own_best_file_is_left_to_the_trainer() -> None:
    files = [file(0, None, best=True), file(0, 10), file(1, 20)]
    gone = checkpoint.superfluous(files, {0: 0.1, 1: 0.2}, MAP)
    assert [(item.epoch, item.best) for item in gone] == [(0, False)]


@given(checkpoints, points)
def test_what_may_go_is_never_what_is_chosen_or_newest(
    files: list[Checkpoint], values: dict[int, float | None]
) -> None:
    gone = checkpoint.superfluous(files, values, MAP)
    left = [item for item in files if item not in gone]
    chosen, still = checkpoint.choose(files, values, MAP), checkpoint.choose(left, values, MAP)
    assert chosen == still
    own = [item for item in files if not item.best]
    if own:
        assert max(own, key=lambda item: (item.epoch, item.step or 0)) in left


@given(checkpoints, points)
def test_the_chosen_file_has_the_best_value_that_a_file_has(
    files: list[Checkpoint], values: dict[int, float | None]
) -> None:
    chosen = checkpoint.choose(files, values, MAP)
    usable = [value for item in files if (value := values.get(item.epoch)) is not None]
    assert (chosen.value if chosen else None) == (max(usable) if usable else None)
