"""TAO's inference functions, each by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl import functions
from tao_automl.errors import UsageError
from tao_automl.functions import Given
from tao_automl.parents import Parent
from tests.fakes import chain

ACTIONS = chain.made().actions
FILE = Path("/models/m.pth")


def values(name: str, *keys: str, parent: Parent | None = None, **trained: str) -> dict[str, object]:
    return functions.values(ACTIONS[name], Given(Path("/runs/1"), parent, keys, trained))


def test_the_folder_of_the_run_is_its_output() -> None:
    assert values("count") == {"results_dir": "/runs/1"}


def test_a_parent_is_a_file_or_its_folder() -> None:
    found = values("shrink", "shrink.model_path", "shrink.folder", parent=Parent(FILE))
    assert found == {"results_dir": "/runs/1", "shrink.model_path": "/models/m.pth", "shrink.folder": "/models"}


def test_a_key_that_does_not_take_the_parent_keeps_its_value() -> None:
    assert values("score", parent=Parent(FILE)) == {"results_dir": "/runs/1"}


def test_a_training_that_goes_on_has_no_pretrained_model() -> None:
    found = values("train", "train.resume", parent=Parent(FILE), secret="xyz")
    assert found == {"results_dir": "/runs/1", "train.resume": "/models/m.pth", "train.weights": "", "secret": "xyz"}


def test_a_training_that_begins_keeps_its_pretrained_model() -> None:
    assert values("train") == {"results_dir": "/runs/1", "secret": ""}


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "m.pth").write_bytes(b"w")
    (tmp_path / "latest.pth").symlink_to("m.pth")
    found = values("score", "score.checkpoint", parent=Parent(tmp_path / "latest.pth"))
    assert found["score.checkpoint"] == str((tmp_path / "m.pth").resolve())


def test_new_files_lie_in_the_folder_of_the_run() -> None:
    made = functions.created(ACTIONS["build"], Path("/runs/1"), {})
    assert made == {"build.engine": Path("/runs/1/model.engine"), "build.cache": Path("/runs/1/cal.bin")}


def test_a_file_that_is_there_makes_the_next_number(tmp_path: Path) -> None:
    wanted = {"build.engine": str(tmp_path / "m.engine")}
    for name in ("m.engine", "m-2.engine", "m-3.engine"):
        assert functions.created(ACTIONS["build"], tmp_path / "run", wanted)["build.engine"] == tmp_path / name
        (tmp_path / name).touch()


def test_a_new_file_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none is no directory"):
        functions.created(ACTIONS["build"], tmp_path, {"build.engine": str(tmp_path / "none" / "m.engine")})
