"""Real images: handwritten digits, through the same command as a user's own data."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.py"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    subprocess.run([sys.executable, str(EXAMPLE), str(folder)], check=True)
    return folder


def test_digits_are_tuned_like_any_data(cli, digits: Path) -> None:
    data = ("--train-data", str(digits / "train"), "--val-data", str(digits / "val"))
    words = ("--model", "dino", "--runtime", "standin", "--name", "d", "--trials", "2", "--epochs", "2")
    cli("run", *words, *data, STANDIN_STEPS="40")
    best = cli.json("best", "d")
    assert best["value"] > 0.02
    evaluated = cli.json("action", "evaluate", "d")
    assert float(evaluated["metrics"]["test_mAP50"]) == best["value"]


def test_images_may_come_as_an_archive(cli, digits: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    for split in ("train", "val"):
        (packed / split).mkdir(parents=True)
        (packed / split / "annotations.json").write_text((digits / split / "annotations.json").read_text())
        with tarfile.open(packed / split / "images.tar.gz", "w:gz") as archive:
            archive.add(digits / split / "images", "images")
    data = ("--train-data", str(packed / "train"), "--val-data", str(packed / "val"))
    words = ("--model", "dino", "--runtime", "standin", "--name", "p", "--trials", "1", "--epochs", "1")
    cli("run", *words, *data)
    assert Path(cli.json("best", "p")["checkpoint"]).is_file()
