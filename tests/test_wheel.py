"""The package as it is installed from a wheel: models and configs come with it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel, in a folder outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, cwd=folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, *words: str) -> str:
    """The command line of the wheel's package, which the checkout must not hide."""
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); from tao_automl import cli; cli.main()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAO_AUTOML_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=installed,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_models_are_found(installed: Path) -> None:
    assert "dino" in run(installed, "models")


def test_a_search_space_can_be_made(installed: Path) -> None:
    assert "train.optim.lr" in run(installed, "space", "dino", "--json")


def test_each_file_of_a_skill_is_there(installed: Path) -> None:
    shipped = installed / "tao_automl" / "_data" / "skills" / "tao-train-dino"
    ours = ROOT / "skills" / "tao-train-dino"
    names = {path.relative_to(ours) for path in ours.rglob("*") if path.is_file()}
    assert names == {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()}
    assert (installed / "tao_automl" / "_data" / "configs" / "platforms" / "local.yaml").is_file()
