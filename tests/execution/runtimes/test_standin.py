"""The stand-in runtime: the process runtime, with the embedded trainer as its program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tao_automl.errors import PlatformError
from tao_automl.execution.job import Phase
from tao_automl.execution.runtimes.standin import sample_data
from tests.contracts.runtime_contract import ProcessContract, Work, ended

SAMPLE = "import pathlib, sys\nfrom tao_automl.execution.runtimes.standin import sample_data\n"


class TestStandin(ProcessContract):
    @pytest.fixture
    def name(self) -> str:
        return "standin"

    @pytest.fixture
    def quick(self) -> Work:
        return Work(("shapes", "data", "--train", "1", "--val", "1"), exit_code=0)

    @pytest.fixture
    def failing(self) -> Work:
        return Work(("dino", "train", "-e", "none.yaml"), exit_code=1, says="`none.yaml` doesn't exist")

    @pytest.fixture
    def endless(self, tmp_path: Path) -> Work:
        spec = tmp_path / "spec.yaml"
        spec.write_text(f"{{results_dir: {tmp_path / 'results'}, train: {{num_epochs: 1}}}}\n")
        command = ("dino", "train", "-e", str(spec))
        return Work(command, env={"STANDIN_START_S": "300"}, exit_code=143, processes=2)

    def test_the_trainer_runs_in_the_jobs_folder(self, runtime, make, quick) -> None:
        job = make(quick)
        runtime.attach_or_start(job)
        status = ended(runtime, job)
        assert (status.phase, status.exit_code) == (Phase.EXITED, 0)
        assert len(list((job.folder / "data" / "train" / "images").iterdir())) == 1

    def test_run_sh_shows_the_trainers_command(self, runtime, make, quick) -> None:
        command = runtime.command(make(quick))
        assert command == (sys.executable, "-m", "tao_automl.standin", *quick.command)


def test_sample_data_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "shapes"
    sample_data(folder)
    annotations = folder / "val" / "annotations.json"
    made = annotations.stat()
    assert (folder / "train" / "annotations.json").is_file()
    sample_data(folder)
    assert annotations.stat().st_mtime_ns == made.st_mtime_ns
    assert [path.name for path in folder.parent.iterdir()] == ["shapes"]


def test_sample_data_asked_for_by_two_at_once_is_there_for_both(tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    command = [sys.executable, "-c", SAMPLE + "sample_data(pathlib.Path(sys.argv[1]))", str(folder)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"]


def test_sample_data_that_cannot_be_written_is_a_platform_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="sample data") as raised:
        sample_data(tmp_path / "file" / "shapes")
    assert "--studies-dir" in raised.value.tip
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
