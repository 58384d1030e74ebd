from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl.tao import metricfile, status


def test_the_file_is_the_last_epoch_of_a_training_that_has_ended(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"val_mse": 0.25, "name": "x", "best": {"val_mae": 0.1}, "bad": NaN}')
    found = metricfile.read(tmp_path / "metrics.json", 5)
    assert found is not None
    assert found.points == {4: {"val_mse": 0.25, "name": "x", "val_mae": 0.1}}
    assert status.verdict(0, found, "train", 5).ok
    assert not status.verdict(1, found, "train", 5).ok


@pytest.mark.parametrize("text", [None, "", "[1]", "{", "[" * 100_000])
def test_without_such_a_file_nothing_is_known(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "metrics.json").write_text(text)
    assert metricfile.read(tmp_path / "metrics.json", 5) is None
