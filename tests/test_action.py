"""Downstream actions: what they start from, and when they have failed. The study on disk is a real one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tao_automl import action, actionplan, driver, parents
from tao_automl.actionplan import Asked, Prepared
from tao_automl.errors import JobError, UsageError
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.parents import Origin, Parent
from tao_automl.plan import Plan
from tao_automl.tao import keypath, spec
from tests.fakes import finished
from tests.fakes.finished import BEST, OneJob
from tests.fakes.tiny import coco
from tests.s3 import Bucket

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


def prepare(
    plan: Plan, name: str, checkpoint: Path | str | None = None, after: str | None = None, **given: str
) -> Prepared:
    """An action on the best trial; `given` has `__` for the dots of a path."""
    named = {path.replace("__", "."): value for path, value in given.items()}
    file = str(checkpoint) if checkpoint else None
    return actionplan.prepare(plan, Asked(name, given=named, checkpoint=file, after=after))


def onnx(folder: Path) -> Path:
    (folder / "given.onnx").write_bytes(b"onnx")
    return folder / "given.onnx"


def at(prepared: Prepared, path: str) -> Any:
    return keypath.get(prepared.spec, path)


# Which trial


def test_the_best_trial_is_used_unless_another_is_named(plan: Plan) -> None:
    best, other = actionplan.winner_of(plan, None), actionplan.winner_of(plan, 0)
    assert (best.trial, best.epoch, best.value) == (1, 1, 0.5)
    assert (other.trial, other.value) == (0, 0.2)


@pytest.mark.parametrize("trial", [2, 9])
def test_a_trial_without_a_result_is_refused(plan: Plan, trial: int) -> None:
    with pytest.raises(UsageError, match=f"trial {trial} of study 'done' has no result") as raised:
        actionplan.winner_of(plan, trial)
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
    assert prepared.parent is not None
    assert (prepared.parent.file, prepared.parent.epoch) == (file, 1)
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


def test_the_job_has_the_command_and_the_image_of_the_action(plan: Plan, tmp_path: Path) -> None:
    job = prepare(plan, "gen_trt_engine", onnx(tmp_path)).job
    assert job.command == ("dino", "gen_trt_engine", "-e", str(plan.paths.actions / "gen_trt_engine-001" / "spec.yaml"))
    assert job.image.endswith("-deploy")
    assert job.id == "done-gen_trt_engine-001"


def test_set_overrides_whatever_was_chosen(plan: Plan) -> None:
    prepared = prepare(plan, "export", export__input_width="640", model__num_queries="300")
    assert at(prepared, "export.input_width") == 640
    assert at(prepared, "model.num_queries") == 300


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
    ],
)
def test_what_is_asked_wrongly_is_named(plan: Plan, name: str, given: dict[str, str], message: str, tip: str) -> None:
    before = sorted(plan.paths.folder.rglob("*"))
    with pytest.raises(UsageError) as raised:
        actionplan.prepare(plan, Asked(name, given=given))
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
        action.finish(own, prepare(own, "export"), JobStatus("x", Phase.EXITED, 7))


def test_an_exit_that_nobody_saw_is_a_failure(own: Plan) -> None:
    with pytest.raises(JobError, match="nobody saw its exit code"):
        action.finish(own, prepare(own, "export"), JobStatus("x", Phase.EXITED, None))


def test_an_export_that_exits_well_but_makes_no_file_has_failed(own: Plan) -> None:
    prepared = prepare(own, "export")
    with pytest.raises(JobError, match=r"export made no export\.onnx_file: .*model\.onnx is missing") as raised:
        action.finish(own, prepared, EXITED)
    assert str(prepared.paths.run_sh) in raised.value.tip


def test_the_file_that_was_made_is_an_output(own: Plan) -> None:
    prepared = prepare(own, "export")
    prepared.paths.folder.mkdir(parents=True)
    file = prepared.paths.folder / "model.onnx"
    file.write_bytes(b"onnx")
    outputs = action.finish(own, prepared, EXITED).as_dict()["outputs"]
    assert outputs == {"results_dir": str(prepared.paths.folder), "export.onnx_file": str(file)}


def test_inference_runs_on_the_validation_images_with_the_names_of_the_categories(runs, own: Plan, made: Path) -> None:
    runs(OneJob(finished.makes))
    prepared = action.run(own, prepare(own, "inference")).prepared
    assert at(prepared, "dataset.infer_data_sources.image_dir") == [str(made / "val" / "images")]
    names = Path(at(prepared, "dataset.infer_data_sources.classmap"))
    assert (names.parent, names.read_text()) == (prepared.paths.folder, "class 1\n2\nclass 3\n")


def test_what_every_launch_sets_is_set_in_actions_too(plan: Plan) -> None:
    assert at(prepare(plan, "evaluate"), "wandb.enable") is False


def test_the_results_folder_is_not_the_users_to_set(plan: Plan) -> None:
    with pytest.raises(UsageError, match="results folder"):
        prepare(plan, "evaluate", results_dir="/elsewhere")


# One after the other


def test_an_engine_is_built_from_the_newest_export_of_the_trial(runs, own: Plan) -> None:
    runs(OneJob(finished.makes))
    for _ in range(2):
        exported = action.run(own, prepare(own, "export"))
    prepared = prepare(own, "gen_trt_engine")
    file = own.paths.actions / "export-002" / "model.onnx"
    assert at(prepared, "gen_trt_engine.onnx_file") == str(file)
    assert at(prepared, "gen_trt_engine.trt_engine") == str(prepared.paths.folder / "model.engine")
    assert at(prepared, "gen_trt_engine.tensorrt.calibration.cal_cache_file") == str(prepared.paths.folder / "cal.bin")
    assert exported.run.outputs == {"export.onnx_file": file}
    built = action.run(own, prepared).as_dict()
    assert (built["after"], built["trial"], built["epoch"], built["checkpoint"]) == ("export-002", 1, 1, str(file))


def test_a_run_that_is_named_goes_before_the_newest(runs, own: Plan) -> None:
    runs(OneJob(finished.makes))
    for _ in range(2):
        action.run(own, prepare(own, "export"))
    named, newest = (
        at(prepare(own, "gen_trt_engine", after=text), "gen_trt_engine.onnx_file") for text in ("export-001", "export")
    )
    assert (Path(named).parent.name, Path(newest).parent.name) == ("export-001", "export-002")


def test_without_an_export_an_engine_cannot_be_built_and_the_tip_says_what_to_run(plan: Plan) -> None:
    with pytest.raises(
        UsageError, match=r"needs gen_trt_engine\.onnx_file: no export of trial 1 of study 'done'"
    ) as raised:
        prepare(plan, "gen_trt_engine")
    assert "tao-automl action export done/1" in raised.value.tip


def test_an_export_of_another_trial_is_not_taken(runs, own: Plan) -> None:
    runs(OneJob(finished.makes))
    action.run(own, actionplan.prepare(own, Asked("export", trial=0)))
    with pytest.raises(UsageError, match="no export of trial 1"):
        prepare(own, "gen_trt_engine")
    prepared = prepare(own, "gen_trt_engine", after="export-001")
    assert prepared.won.trial == 0
    assert at(prepared, "model.num_queries") == 300


def test_an_action_that_failed_is_no_start(runs, own: Plan) -> None:
    runs(OneJob(finished.breaks))
    with pytest.raises(JobError):
        action.run(own, prepare(own, "export"))
    with pytest.raises(UsageError, match="no export of trial 1"):
        prepare(own, "gen_trt_engine")
    with pytest.raises(UsageError, match="export-001 of study 'done' has not finished"):
        prepare(own, "gen_trt_engine", after="export-001")


def test_the_structure_goes_along_the_chain(runs, own: Plan) -> None:
    runs(OneJob(finished.makes))
    action.run(own, prepare(own, "export", dataset__num_classes="9"))
    prepared = prepare(own, "gen_trt_engine")
    assert [at(prepared, path) for path in ("model.num_queries", "dataset.num_classes")] == [500, 9]


def test_the_winner_is_the_teacher_and_not_the_student(own: Plan) -> None:
    prepared = prepare(own, "distill", distill__teacher__backbone="fan_small", model__enc_layers="2")
    assert at(prepared, "distill.pretrained_teacher_model_path").endswith(BEST)
    assert [at(prepared, f"distill.teacher.{key}") for key in ("num_queries", "enc_layers")] == [500, 4]
    assert [at(prepared, f"model.{key}") for key in ("num_queries", "enc_layers")] == [300, 2]
    assert at(prepared, "dataset.num_classes") == 4
    assert at(prepared, "dataset.train_data_sources[0].json_file").endswith("annotations.json")


def test_after_a_training_its_best_epoch_counts_and_the_students_structure(runs, own: Plan) -> None:
    runs(OneJob(finished.trains))
    student = prepare(own, "distill", distill__teacher__backbone="fan_small", model__enc_layers="2")
    made = action.run(own, student).as_dict()
    assert (made["epoch"], Path(made["model"]).name) == (1, "model_epoch_001_step_00020.pth")
    runs(OneJob(finished.evaluates))
    prepared = prepare(own, "evaluate", after="distill")
    assert at(prepared, "evaluate.checkpoint") == made["model"]
    assert [at(prepared, f"model.{key}") for key in ("num_queries", "enc_layers")] == [300, 2]
    assert at(prepared, "dataset.num_classes") == 4


def test_a_training_goes_on_with_the_winning_spec(runs, own: Plan) -> None:
    prepared = prepare(own, "train", train__num_epochs="6")
    assert at(prepared, "train.resume_training_checkpoint_path").endswith(BEST)
    assert at(prepared, "train.optim.lr") == 1e-3
    assert at(prepared, "results_dir") == str(own.paths.actions / "train-001")
    with pytest.raises(UsageError, match=r"train\.num_epochs is 2, and the checkpoint has 2 epochs behind it"):
        prepare(own, "train", train__num_epochs="2")
    runs(OneJob(finished.trains))
    with pytest.raises(JobError, match="finished after 3 of 6 epochs"):
        action.run(own, prepared)


def test_the_newest_checkpoint_is_taken_only_if_asked_for(plan: Plan) -> None:
    assert at(prepare(plan, "export", "latest"), "export.checkpoint").endswith(finished.LAST)


def test_what_to_start_from_is_said_once(plan: Plan) -> None:
    with pytest.raises(UsageError, match="--checkpoint and --after exclude each other"):
        prepare(plan, "export", "latest", after="export")


@pytest.mark.parametrize("text", ['{"AP": 0.25, "AP50": 0.5}', None, "[1]", "{"])
def test_what_the_deploy_container_writes_is_found(runs, own: Plan, text: str | None) -> None:
    runs(OneJob(finished.makes))
    for name in ("export", "gen_trt_engine"):
        action.run(own, prepare(own, name))

    def scores(job: JobSpec) -> int:
        folder = job.folder / "trt_evaluate"
        folder.mkdir()
        (folder / "status.json").write_text(
            '{"status": "STARTED", "message": "Starting dino trt_evaluate."}\n'
            '{"status": "SUCCESS", "message": "Trt_evaluate finished successfully."}\n'
        )
        if text is not None:
            (folder / "results.json").write_text(text)
        return 0

    runs(OneJob(scores))
    done = action.run(own, prepare(own, "deploy_evaluate"))
    assert done.metrics == ({"AP": 0.25, "AP50": 0.5} if text and "AP" in text else {})
    assert at(done.prepared, "dataset.batch_size") == 1


# New files


def test_a_file_that_is_there_is_not_written_over(own: Plan, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    assert at(prepare(own, "export", export__onnx_file=str(file)), "export.onnx_file") == str(file)
    file.write_bytes(b"precious")
    prepared = prepare(own, "export", export__onnx_file=str(file))
    assert at(prepared, "export.onnx_file") == str(tmp_path / "model-2.onnx")
    assert prepared.renamed == {"export.onnx_file": tmp_path / "model-2.onnx"}


def test_a_new_file_without_a_folder_lies_in_the_runs(plan: Plan) -> None:
    prepared = prepare(plan, "export", export__onnx_file="small.onnx")
    assert at(prepared, "export.onnx_file") == str(prepared.paths.folder / "small.onnx")
    assert prepared.renamed == {}


def test_a_container_can_write_a_new_file_outside_its_folder(own: Plan, tmp_path: Path) -> None:
    contained = replace(own, runtime="docker")
    (tmp_path / "out").mkdir()
    prepared = prepare(contained, "export", export__onnx_file=str(tmp_path / "out" / "model.onnx"))
    assert [mount.container for mount in prepared.job.mounts if not mount.read_only] == [str(tmp_path / "out")]


# Refused


def test_what_is_known_not_to_work_is_not_started(own: Plan, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="distill is refused: the teacher's backbone must be a FAN model") as raised:
        prepare(own, "distill")
    assert raised.value.code == "known-not-to-work"
    asked = Asked("gen_trt_engine", checkpoint=str(onnx(tmp_path)), image="registry.example/tao:1-pyt")
    with pytest.raises(UsageError, match="gen_trt_engine is refused: the container that trains has no TensorRT"):
        actionplan.prepare(replace(own, runtime="docker"), asked)
    assert actionplan.prepare(own, asked).job.image == "registry.example/tao:1-pyt"
    assert not own.paths.actions.exists()


def test_an_unknown_action_is_told_with_all_there_are(plan: Plan) -> None:
    with pytest.raises(UsageError, match="has no action 'exprot'") as raised:
        prepare(plan, "exprot")
    assert "'export'" in raised.value.tip
    assert all(name in raised.value.tip for name in plan.skill.actions)


# Data in an object store


@pytest.fixture
def stored(s3: Bucket, tmp_path: Path) -> Plan:
    """A study whose validation data is in a store; its training data there is named by `--set`."""
    for split in ("train", "val", "other"):
        coco(s3.folder / split, images=4, categories=(1, 3))
    train = {"image_dir": s3.url("train/images"), "json_file": s3.url("train/annotations.json")}
    set_ = [f"dataset.train_data_sources={json.dumps([train])}", "dataset.num_classes=4"]
    cached = str(tmp_path / "cache")
    finished.make(tmp_path, train_data=None, val_data=s3.url("val"), set=set_, cache_dir=cached, runtime="process")
    return driver.plan_of("done", tmp_path / "studies", {})


def places(prepared: Prepared) -> dict[str, str]:
    """What the job brings, by address."""
    return {item.url: item.path for item in prepared.job.staged}


def test_an_action_reads_the_studys_data_where_a_node_brings_it(stored: Plan, s3: Bucket) -> None:
    prepared = prepare(stored, "evaluate")
    found = places(prepared)
    assert set(found) == {s3.url("val/images"), s3.url("val/annotations.json")}
    assert at(prepared, "dataset.test_data_sources.image_dir") == found[s3.url("val/images")]


def test_data_of_a_store_can_be_named_for_one_action(stored: Plan, s3: Bucket) -> None:
    asked = Asked("evaluate", data={"eval_dataset": [s3.url("other")]})
    assert set(places(actionplan.prepare(stored, asked))) == {s3.url("other/images"), s3.url("other/annotations.json")}
    with pytest.raises(UsageError, match="there is no s3://"):
        prepare(stored, "evaluate", dataset__test_data_sources__json_file=s3.url("none.json"))


def test_a_checkpoint_may_lie_in_a_store(stored: Plan, s3: Bucket) -> None:
    address = s3.put("models/own.pth", b"weights")
    asked = Asked("evaluate", checkpoint=address)
    prepared = actionplan.prepare(stored, asked)
    assert at(prepared, "evaluate.checkpoint") == places(prepared)[address]
    assert prepared.parent is not None
    assert (prepared.parent.place, prepared.parent.epoch) == (address, None)
    with pytest.raises(UsageError, match="there is no s3://"):
        actionplan.prepare(stored, replace(asked, checkpoint=s3.url("models/none.pth")))
    assert not stored.paths.actions.exists()


def test_what_a_winner_has_read_is_brought_again_also_to_another_cache(stored: Plan, s3: Bucket, tmp_path) -> None:
    trained = spec.load(actionplan.winner_of(stored, None).attempt.spec.read_text())
    before = keypath.get(trained, "dataset.train_data_sources")[0]["image_dir"]
    moved = driver.plan_of("done", tmp_path / "studies", {"cache_dir": tmp_path / "elsewhere"})
    prepared = prepare(moved, "train", train__num_epochs="9")
    after = at(prepared, "dataset.train_data_sources")[0]["image_dir"]
    assert after == places(prepared)[s3.url("train/images")]
    assert Path(after).relative_to(tmp_path / "elsewhere") == Path(before).relative_to(tmp_path / "cache")


def test_what_an_earlier_action_has_read_is_known_to_the_next(runs, stored: Plan, s3: Bucket) -> None:
    runs(OneJob(finished.makes))
    s3.put("names.txt")
    done = action.run(stored, prepare(stored, "export", wandb__name=s3.url("names.txt")))
    assert "s3://" not in done.run.paths.spec.read_text()
    origin = Origin(stored.paths, actionplan.winner_of(stored, None), after=done.run)
    parent = Parent(done.run.outputs["export.onnx_file"], done.run)
    assert s3.url("names.txt") in {item.url for item in parents.brought(origin, parent)}
    assert keypath.get(parents.lineage(origin, parent)[1][1], "wandb.name") == s3.url("names.txt")


def test_a_failed_actions_log_is_sent_and_a_store_that_takes_nothing_hides_no_result(runs, own: Plan, s3) -> None:
    sending = replace(own, settings=own.settings.with_values("flag", upload=s3.url("results")))
    runs(OneJob(finished.breaks))
    with pytest.raises(JobError, match="out of memory"):
        action.run(sending, prepare(sending, "export"))
    sent = s3.folder / "results" / "done" / "actions"
    assert "out of memory" in (sent / "export-001" / "log.txt").read_text()
    prepared = prepare(sending, "evaluate")

    def evaluates(job: JobSpec) -> int:
        s3.folder.rename(s3.folder.with_name("away"))
        return finished.evaluates(job)

    runs(OneJob(evaluates))
    with pytest.raises(UsageError, match="no bucket"):
        action.run(sending, prepared)
    s3.folder.with_name("away").rename(s3.folder)
    assert prepared.paths.result.is_file()


# Several at once


def test_actions_that_start_at_once_have_folders_of_their_own(own: Plan) -> None:
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda _: action.claim(own, Asked("export")), range(6)))
    names = sorted(prepared.paths.folder.name for prepared in claimed)
    assert names == [f"export-{number:03d}" for number in range(1, 7)]
    assert {prepared.job.id for prepared in claimed} == {f"done-{name}" for name in names}


def test_what_is_refused_before_its_start_leaves_no_folder(runs, own: Plan) -> None:
    runs(OneJob(finished.makes))
    needy = replace(own, settings=own.settings.with_values("flag", env={"HF_TOKEN": None}))
    with pytest.raises(UsageError, match="HF_TOKEN"):
        action.run(needy, action.claim(needy, Asked("export")))
    assert not own.paths.actions.exists()


def test_a_relative_path_is_that_of_the_working_directory(own: Plan, tmp_path, monkeypatch) -> None:
    coco(tmp_path / "other", images=4, categories=(1, 3))
    monkeypatch.chdir(tmp_path)
    images, named = "dataset.test_data_sources.image_dir", "dataset.test_data_sources"
    given = prepare(own, "evaluate", **{images.replace(".", "__"): "other/images"})
    assert at(given, images) == str(tmp_path / "other" / "images")
    whole = "{image_dir: other/images, json_file: other/annotations.json}"
    assert at(prepare(own, "evaluate", dataset__test_data_sources=whole), named)["json_file"] == str(
        tmp_path / "other" / "annotations.json"
    )
