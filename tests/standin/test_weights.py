"""Checkpoint files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tao_automl.standin import weights


def saved(epoch: int, batches: int = 0) -> weights.Saved:
    return weights.Saved({"w": np.arange(3.0)}, epoch, 10 * (epoch + 1), batches, "dino")


def test_a_checkpoint_reads_back_as_it_was_saved(tmp_path: Path) -> None:
    weights.save(tmp_path / "a.pth", saved(4, batches=2))
    back = weights.load(tmp_path / "a.pth")
    assert (back.epoch, back.step, back.batches, back.network) == (4, 50, 2, "dino")
    assert np.array_equal(back.arrays["w"], np.arange(3.0))


def test_nothing_but_the_checkpoint_is_left(tmp_path: Path) -> None:
    weights.save(tmp_path / "a.pth", saved(0))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_size_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_CHECKPOINT_BYTES", "100000")
    weights.save(tmp_path / "a.pth", saved(0))
    assert (tmp_path / "a.pth").stat().st_size >= 100_000
    assert set(weights.load(tmp_path / "a.pth").arrays) == {"w"}


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"hello")
    with pytest.raises(ValueError, match="no checkpoint"):
        weights.load(tmp_path / "a.pth")
    with pytest.raises(FileNotFoundError, match="Checkpoint file not found"):
        weights.load(tmp_path / "b.pth")
    with pytest.raises(ValueError, match="must end in"):
        weights.load(tmp_path / "a.onnx")


def test_the_link_follows_the_newest(tmp_path: Path) -> None:
    folder = weights.Folder(tmp_path, "latest.pth")
    assert folder.newest() is None
    for epoch in (0, 1):
        path = folder.save(saved(epoch))
        assert folder.newest() == path.resolve()
    assert str((tmp_path / "latest.pth").readlink()) == "model_epoch_001_step_00020.pth"


def test_of_the_best_only_one_stays(tmp_path: Path) -> None:
    folder = weights.Folder(tmp_path, "latest.pth")
    folder.save_best(saved(0))
    folder.save_best(saved(3))
    assert [path.name for path in tmp_path.iterdir()] == ["model_best_003.pth"]


def test_another_architecture_is_named() -> None:
    own = {"w": np.zeros(3), "v": np.zeros(2)}
    with pytest.raises(RuntimeError, match="size mismatch for v"):
        weights.require_same_shapes(own, {"w": np.ones(3), "v": np.ones(5)})
