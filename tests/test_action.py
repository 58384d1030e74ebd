"""Downstream actions: what they start from, and when they have failed. The study on disk is a real one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tao_automl import action, driver
from tao_automl.action import Prepared
from tao_automl.errors import JobError, UsageError
from tao_automl.execution.job import JobStatus, Phase
from tao_automl.plan import Plan
from tao_automl.tao import keypath, spec
from tests.fakes import finished
from tests.fakes.finished import BEST, OneJob

EXITED = JobStatus("done-export-001", Phase.EXITED, 0, 100.0, 112.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(scope="module")
def plan(made: Path) -> Plan:
    """A study that all tests look at."""
    finished.make(made)
    return driver.plan_of("done", made / "studies", {})


@pytest.fixture
def own(plan: Plan, made: Path, tmp_path: Path) -> Plan:
    """The same for one test, which may change it."""
    shutil.copytree(made / "studies", tmp_path / "studies", symlinks=True)
    return replace(plan, settings=plan.settings.with_values("flag", studies_dir=tmp_path / "studies"))


def prepare(plan: Plan, name: str, checkpoint: Path | None = None, **given: str) -> Prepared:
    """An action on the best trial; `given` has `__` for the dots of a path."""
    named = {path.replace("__", "."): value for path, value in given.items()}
    return action.prepare(plan, name, action.winner_of(plan, None), named, checkpoint)


def at(prepared: Prepared, path: str) -> Any:
    return keypath.get(prepared.spec, path)


# Which trial


def test_the_best_trial_is_used_unless_another_is_named(plan: Plan) -> None:
    best, other = action.winner_of(plan, None), action.winner_of(plan, 0)
    assert (best.trial, best.epoch, best.value) == (1, 1, 0.5)
    assert (other.trial, other.value) == (0, 0.2)


@pytest.mark.parametrize("trial", [2, 9])
def test_a_trial_without_a_result_is_refused(plan: Plan, trial: int) -> None:
    with pytest.raises(UsageError, match=f"trial {trial} of study 'done' has no result") as raised:
        action.winner_of(plan, trial)
    assert "tao-automl status done" in raised.value.tip


# What is started


def test_the_spec_has_the_structure_of_the_winner(plan: Plan) -> None:
    prepared = prepare(plan, "export")
    assert [at(prepared, path) for path in ("model.num_queries", "model.enc_layers")] == [500, 4]
    assert at(prepared, "dataset.num_classes") == 4
    assert at(prepared, "dataset.eval_class_ids") == [1, 3]


def test_what_trained_the_winner_stays_behind(plan: Plan) -> None:
    prepared, template = prepare(plan, "export"), plan.skill.template("export")
    assert at(prepared, "train") == template["train"]
    for path in ("dataset.train_data_sources", "dataset.val_data_sources"):
        assert at(prepared, path) == keypath.get(template, path)


def test_the_checkpoint_is_the_file_of_the_best_epoch(plan: Plan) -> None:
    prepared = prepare(plan, "export")
    file = plan.paths.attempt(1, 1).checkpoints("train") / BEST
    assert prepared.checkpoint == file
    assert at(prepared, "export.checkpoint") == str(file)
    assert not Path(at(prepared, "export.checkpoint")).is_symlink()


def test_an_evaluation_gets_the_validation_data_and_an_export_a_file_to_make(plan: Plan, made: Path) -> None:
    evaluation, export = prepare(plan, "evaluate"), prepare(plan, "export")
    assert at(evaluation, "dataset.test_data_sources") == {
        "image_dir": str(made / "val" / "images"),
        "json_file": str(made / "val" / "annotations.json"),
    }
    folder = plan.paths.actions / "export-001"
    assert at(export, "results_dir") == str(folder)
    assert at(export, "export.onnx_file") == str(folder / "model.onnx")


def test_the_job_has_the_command_and_the_image_of_the_action(plan: Plan) -> None:
    job = prepare(plan, "gen_trt_engine").job
    assert job.command == ("dino", "gen_trt_engine", "-e", str(plan.paths.actions / "gen_trt_engine-001" / "spec.yaml"))
    assert job.image.endswith("-deploy")
    assert job.id == "done-gen_trt_engine-001"


def test_set_overrides_whatever_was_chosen(plan: Plan) -> None:
    prepared = prepare(plan, "export", export__input_width="640", model__num_queries="300", export__onnx_file="x.onnx")
    assert at(prepared, "export.input_width") == 640
    assert at(prepared, "model.num_queries") == 300
    assert at(prepared, "export.onnx_file") == "x.onnx"


def test_data_that_is_set_is_not_the_studys(plan: Plan) -> None:
    given = {
        "dataset__test_data_sources__image_dir": "more/images",
        "dataset__test_data_sources__json_file": "more.json",
    }
    assert at(prepare(plan, "evaluate", **given), "dataset.test_data_sources") == {
        "image_dir": "more/images",
        "json_file": "more.json",
    }


def test_another_checkpoint_can_be_named(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    file.write_bytes(b"w")
    assert at(prepare(plan, "export", file), "export.checkpoint") == str(file)


def test_preparing_writes_nothing(plan: Plan) -> None:
    before = sorted(plan.paths.folder.rglob("*"))
    prepare(plan, "export")
    assert sorted(plan.paths.folder.rglob("*")) == before


# What is refused


@pytest.mark.parametrize(
    ("name", "given", "message", "tip"),
    [
        ("exprot", {}, "model 'dino' has no action 'exprot'", "'export'"),
        ("export", {"export.input_widht": "640"}, "export.input_widht", "'export.input_width'"),
        ("export", {"export.input_width": "wide"}, "export.input_width", ""),
        ("inference", {}, "inference needs dataset.infer_data_sources", "--set dataset.infer_data_sources"),
    ],
)
def test_what_is_asked_wrongly_is_named(plan: Plan, name: str, given: dict[str, str], message: str, tip: str) -> None:
    before = sorted(plan.paths.folder.rglob("*"))
    with pytest.raises(UsageError) as raised:
        action.prepare(plan, name, action.winner_of(plan, None), given, None)
    assert message in raised.value.message
    assert tip in raised.value.tip
    assert sorted(plan.paths.folder.rglob("*")) == before


def test_a_checkpoint_that_is_gone_is_refused_although_a_later_one_is_there(own: Plan) -> None:
    folder = own.paths.attempt(1, 1).checkpoints("train")
    (folder / BEST).unlink()
    assert (folder / "dino_model_latest.pth").exists()
    with pytest.raises(UsageError, match="the checkpoint of trial 1 of study 'done' is gone") as raised:
        prepare(own, "export")
    assert "--checkpoint FILE" in raised.value.tip


def test_a_named_checkpoint_that_is_not_there_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"other\.pth is missing"):
        prepare(plan, "export", tmp_path / "other.pth")


# Running it


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[OneJob], OneJob]:
    def replace(cluster: OneJob) -> OneJob:
        monkeypatch.setattr(action, "RayCluster", lambda _room: cluster)
        return cluster

    return replace


def test_an_evaluation_gives_its_metrics(runs, own: Plan) -> None:
    cluster = runs(OneJob(finished.evaluates))
    done = action.run(own, prepare(own, "evaluate"))
    assert own.metric.evaluated(done.metrics) == 0.6512345678
    assert done.duration_s == 12.0
    assert cluster.closed
    document = done.as_dict()
    assert (document["schema"], document["action"], document["trial"], document["epoch"]) == (1, "evaluate", 1, 1)


def test_each_run_has_a_folder_with_all_it_takes_to_run_it_by_hand(runs, own: Plan) -> None:
    runs(OneJob(finished.evaluates))
    first, second = (action.run(own, prepare(own, "evaluate")).prepared for _ in range(2))
    assert [first.paths.folder.name, second.paths.folder.name] == ["evaluate-001", "evaluate-002"]
    assert prepare(own, "export").paths.folder.name == "export-001"
    assert spec.load(second.paths.spec.read_text(encoding="utf-8")) == second.spec
    assert os.access(second.paths.run_sh, os.X_OK)


def test_an_interrupted_action_is_cancelled(runs, own: Plan) -> None:
    class Endless(OneJob):
        def status(self, ids):
            return {name: JobStatus(name, Phase.RUNNING) for name in ids}

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    cluster = runs(Endless(finished.evaluates))
    with pytest.raises(KeyboardInterrupt):
        action.run(own, prepare(own, "evaluate"), interrupt)
    assert (cluster.cancelled, cluster.closed) == (["done-evaluate-001"], True)


# How it ended


def test_a_failed_action_names_the_line_that_tells_the_log_and_the_command(runs, own: Plan) -> None:
    runs(OneJob(finished.breaks))
    prepared = prepare(own, "export")
    with pytest.raises(JobError) as raised:
        action.run(own, prepared)
    error = raised.value
    assert error.message == "export failed: RuntimeError: CUDA out of memory. Tried to allocate 2 GiB."
    assert (error.code, error.exit_code) == ("gpu_oom", 1)
    assert str(prepared.paths.log) in error.tip
    assert str(prepared.paths.run_sh) in error.tip


def test_a_failure_without_a_log_still_has_a_reason(own: Plan) -> None:
    with pytest.raises(JobError, match="export failed: export exited with 7"):
        action.finish(prepare(own, "export"), JobStatus("x", Phase.EXITED, 7))


def test_an_exit_that_nobody_saw_is_a_failure(own: Plan) -> None:
    with pytest.raises(JobError, match="nobody saw its exit code"):
        action.finish(prepare(own, "export"), JobStatus("x", Phase.EXITED, None))


def test_an_export_that_exits_well_but_makes_no_file_has_failed(own: Plan) -> None:
    prepared = prepare(own, "export")
    with pytest.raises(JobError, match=r"export made no export\.onnx_file: .*model\.onnx is missing") as raised:
        action.finish(prepared, EXITED)
    assert str(prepared.paths.run_sh) in raised.value.tip


def test_the_file_that_was_made_is_an_output(own: Plan) -> None:
    prepared = prepare(own, "export")
    prepared.paths.folder.mkdir(parents=True)
    file = prepared.paths.folder / "model.onnx"
    file.write_bytes(b"onnx")
    outputs = action.finish(prepared, EXITED).outputs
    assert outputs == {"results_dir": str(prepared.paths.folder), "export.onnx_file": str(file)}


def test_what_every_launch_sets_is_set_in_actions_too(plan: Plan) -> None:
    assert at(prepare(plan, "evaluate"), "wandb.enable") is False


def test_the_results_folder_is_not_the_users_to_set(plan: Plan) -> None:
    with pytest.raises(UsageError, match="results folder"):
        prepare(plan, "evaluate", results_dir="/elsewhere")
