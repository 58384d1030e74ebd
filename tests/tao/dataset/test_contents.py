from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tao_automl.tao.dataset.contents import Data, Dataset, images

SOME = Dataset(Path("/d"), Path("/"), Path("/d/a.json"), 3, 5, {1: "a", 4: "b"})
UNKNOWN = replace(SOME, image_count=None, categories={2: "c"})


def test_nothing_else_said_training_data_calibrates_and_validation_data_is_inferred_on() -> None:
    data = Data(train=(SOME,), val=(UNKNOWN,))
    assert (data.of("calibration_dataset"), data.of("inference_dataset")) == ((SOME,), (UNKNOWN,))
    other = replace(data, calibration=(UNKNOWN,), inference=(SOME,))
    assert (other.of("calibration_dataset"), other.of("inference_dataset")) == ((UNKNOWN,), (SOME,))
    assert data.of("something") == ()
    assert other.all == (SOME, UNKNOWN, SOME, UNKNOWN)


def test_the_smaller_split_bounds_the_batch_if_its_images_are_counted() -> None:
    assert Data((SOME, SOME), (SOME,)).samples == 3
    assert Data((SOME,), (UNKNOWN,)).samples == 3
    assert Data().samples is None
    assert images((SOME, UNKNOWN)) is None
    assert images((SOME, SOME)) == 6


def test_ids_are_those_of_all_data() -> None:
    assert Data((SOME,), (UNKNOWN,)).category_ids == (1, 2, 4)


def test_an_archive_is_what_is_no_folder(tmp_path: Path) -> None:
    assert replace(SOME, images=tmp_path).archive is None
    assert replace(SOME, images=tmp_path / "images.tar.gz").archive == tmp_path / "images.tar.gz"
