"""`tao-automl action`: what it prints about an action, and how it ends. The study on disk is a real one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tao_automl import action
from tao_automl.execution.job import JobSpec
from tests.fakes import finished
from tests.fakes.finished import OneJob


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    finished.make(folder)
    return folder


@pytest.fixture(autouse=True)
def study(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "studies", tmp_path / "studies", symlinks=True)
    return tmp_path / "studies" / "done"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[JobSpec], int]], OneJob]:
    def replace(work: Callable[[JobSpec], int]) -> OneJob:
        cluster = OneJob(work)
        monkeypatch.setattr(action, "RayCluster", lambda _room: cluster)
        return cluster

    return replace


def exports(job: JobSpec) -> int:
    (job.folder / "model.onnx").write_bytes(b"onnx" * 1024)
    return 0


def test_an_evaluation_shows_its_metrics_beside_that_of_training(call, jobs, study: Path) -> None:
    jobs(finished.evaluates)
    said = call("action", "evaluate", "done")
    assert said.code == 0
    spec = study / "actions" / "evaluate-001" / "spec.yaml"
    assert said.err == f"evaluate of trial 1, epoch 1: dino evaluate -e {spec}\n"
    lines = said.out.splitlines()
    assert lines[0] == "evaluate done in 12s"
    assert lines[2].split() == ["Folder", "studies/done/actions/evaluate-001"]
    assert ["test_mAP50", "0.6512"] in [line.split() for line in lines]
    assert lines[-1] == "In training, epoch 1 had val_mAP50 0.5000"


def test_as_json_it_is_one_object_and_no_talk(call, jobs, study: Path) -> None:
    jobs(exports)
    said = call("action", "export", "--json")
    assert (said.code, said.err) == (0, "")
    document = said.document
    assert document["schema"] == 1
    assert (document["study"], document["trial"], document["epoch"]) == ("done", 1, 1)
    assert document["checkpoint"].endswith(f"trials/0001/attempt-1/train/{finished.BEST}")
    assert document["outputs"]["export.onnx_file"] == str(study / "actions" / "export-001" / "model.onnx")


def test_a_file_that_was_made_is_shown_with_its_size(call, jobs) -> None:
    jobs(exports)
    out = call("action", "export", "done").out
    made = "studies/done/actions/export-001/model.onnx (4.0 KiB)"
    assert any(line.split(maxsplit=1) == ["export.onnx_file", made] for line in out.splitlines())


def test_a_trial_and_keys_of_the_spec_can_be_named(call, jobs, study: Path) -> None:
    jobs(exports)
    said = call("action", "export", "done/0", "--set", "export.input_width=640", "--set", "export.on_cpu=true")
    assert said.code == 0
    assert said.err.startswith("export of trial 0, epoch 1")
    written = (study / "actions" / "export-001" / "spec.yaml").read_text(encoding="utf-8")
    assert "input_width: 640" in written
    assert "on_cpu: true" in written


def test_a_failed_action_ends_with_1_and_names_log_and_command(call, jobs, study: Path) -> None:
    jobs(finished.breaks)
    said = call("action", "export", "done")
    assert (said.code, said.out) == (1, "")
    folder = study / "actions" / "export-001"
    assert "error: export failed: RuntimeError: CUDA out of memory. Tried to allocate 2 GiB.\n" in said.err
    assert f"log: {folder / 'log.txt'}; by hand: {folder / 'run.sh'}" in said.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("evalaute", "done"), ("no action 'evalaute'", "'evaluate'")),
        (("export", "dnoe"), ("'dnoe'", "'done'")),
        (("export", "done/2"), ("trial 2", "has no result")),
        (("export", "done/best"), ("'best' is not a number",)),
        (("export", "done", "--set", "export.input_widht=1"), ("export.input_widht", "'export.input_width'")),
        (("inference", "done", "--inference-data", "none"), ("none is no directory",)),
        (("gen_trt_engine", "done"), ("no export of trial 1", "tao-automl action export done/1")),
        (("export", "done", "--after", "exprot"), ("no exprot of trial 1",)),
    ],
)
def test_what_is_asked_wrongly_is_named_and_starts_nothing(call, jobs, study: Path, words, named) -> None:
    cluster = jobs(exports)
    said = call("action", *words)
    assert (said.code, said.out) == (2, "")
    assert all(word in said.err for word in named), said.err
    assert cluster.jobs == {}
    assert not (study / "actions").exists()


def test_one_action_leads_to_the_next(call, jobs, study: Path) -> None:
    jobs(finished.makes)
    said = call("action", "export", "done")
    assert said.out.splitlines()[-1] == "Next: tao-automl action gen_trt_engine done/1"
    said = call("action", "gen_trt_engine", "done")
    assert said.code == 0, said.err
    assert said.err.startswith("gen_trt_engine of export-001, trial 1: dino gen_trt_engine -e ")


def test_a_file_that_is_not_written_over_is_told(call, jobs, tmp_path: Path) -> None:
    jobs(lambda job: int((tmp_path / "mine-2.onnx").write_bytes(b"onnx") != 4))
    (tmp_path / "mine.onnx").write_bytes(b"precious")
    said = call("action", "export", "done", "--set", f"export.onnx_file={tmp_path / 'mine.onnx'}")
    assert said.code == 0, said.err
    assert "export.onnx_file is there already, the new one is mine-2.onnx" in said.err
    assert (tmp_path / "mine.onnx").read_bytes() == b"precious"


def test_the_newest_checkpoint_can_be_asked_for(call, jobs) -> None:
    jobs(finished.makes)
    said = call("action", "export", "done", "--checkpoint", "latest")
    assert said.err.startswith("export of trial 1, epoch 2: ")
