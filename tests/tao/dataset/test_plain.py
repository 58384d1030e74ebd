from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl.errors import UsageError
from tao_automl.tao import dataset
from tao_automl.tao.datafacts import DataFacts
from tao_automl.tao.dataset import Dataset

UNKNOWN = DataFacts()


def test_a_form_that_is_not_known_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels.csv").write_text("not looked into")
    found = dataset.read(tmp_path, ("images.tar.gz", "labels.csv"), UNKNOWN)
    assert found == Dataset(tmp_path, tmp_path / "images", None, None, 0, {})
    assert found.archive is None


def test_coco_files_of_a_model_that_says_nothing_are_not_looked_into_either(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations.json").write_text("{")
    assert dataset.read(tmp_path, ("images.tar.gz", "annotations.json"), UNKNOWN).image_count is None


def test_a_folder_without_images_of_its_own_is_what_is_read(tmp_path: Path) -> None:
    assert dataset.read(tmp_path, (), UNKNOWN).images == tmp_path


def test_what_must_be_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"labels\.csv is missing"):
        dataset.read(tmp_path, ("labels.csv",), UNKNOWN)
    with pytest.raises(UsageError, match="has no images"):
        dataset.read(tmp_path, ("images.tar.gz",), UNKNOWN)
    with pytest.raises(UsageError, match="none is no directory") as raised:
        dataset.read(tmp_path / "none", ("images.tar.gz",), UNKNOWN)
    assert raised.value.tip == "name one with images.tar.gz or images/"


def test_an_archive_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "images.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="is no readable archive"):
        dataset.read(tmp_path, ("images.tar.gz",), UNKNOWN)
