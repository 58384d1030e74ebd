"""The plan: everything is decided and checked before anything starts."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tarfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tao_automl import jobs
from tao_automl import plan as plans
from tao_automl.errors import AutoMLError, SkillError, UsageError
from tao_automl.execution.job import JobSpec
from tao_automl.layout import skills_dir
from tao_automl.tao import keypath, template
from tao_automl.tao import spec as spec_file
from tests.fakes import bank
from tests.fakes.tiny import NOW, SKILL, plan, settings

DINO = skills_dir() / "tao-train-dino"


@pytest.fixture
def own_skill(tmp_path: Path) -> Path:
    """A copy of the tiny skill, to be changed."""
    return Path(shutil.copytree(SKILL, tmp_path / "skill"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def refused(tmp_path: Path, **flags: Any) -> AutoMLError:
    """The error; a plan that is refused leaves nothing behind."""
    asked = settings(tmp_path, **flags)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AutoMLError) as raised:
        plans.prepare(asked, NOW)
    assert sorted(tmp_path.rglob("*")) == before
    return raised.value


def test_a_plan_changes_nothing_on_disk(tmp_path):
    asked = settings(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    plans.prepare(asked, NOW)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_study_without_a_name_is_named_by_model_and_time(tmp_path):
    assert plan(tmp_path, name=None).name == "tiny-20260102-120000"
    assert plan(tmp_path).paths.folder == tmp_path / "studies" / "s"
    assert plan(tmp_path).storage_url == f"sqlite:///{tmp_path}/studies/studies.db"
    assert plan(tmp_path, storage="sqlite:////x.db").storage_url == "sqlite:////x.db"


# The spec of a trial


def test_a_trial_spec_is_the_full_template_with_what_was_chosen(tmp_path):
    made = plan(tmp_path, epochs=5, set="train.optim.weight_decay=0.01")
    paths = made.paths.attempt(3, 2)
    full = jobs.trial_spec(made, {"train.optim.lr": 3e-4}, paths)
    template = made.skill.template("train")
    assert set(keypath.flatten(full)) == set(keypath.flatten(template))
    assert {path for path in keypath.flatten(full) if keypath.get(full, path) != keypath.get(template, path)} == {
        "results_dir",
        "dataset.num_classes",
        "dataset.eval_class_ids",
        "dataset.train",
        "dataset.val.image_dir",
        "dataset.val.json_file",
        "train.num_epochs",
        "train.precision",
        "train.optim.lr",
        "train.optim.weight_decay",
    }
    assert full["train"]["optim"] == {"optimizer": "AdamW", "lr": 3e-4, "weight_decay": 0.01}
    assert full["results_dir"] == str(tmp_path / "studies" / "s" / "trials" / "0003" / "attempt-2")
    assert spec_file.load(spec_file.dump(full)) == full


def test_what_was_set_is_the_centre_of_the_search(tmp_path):
    made = plan(tmp_path, set="train.optim.lr=1e-3")
    assert jobs.first_spec(made)["train"]["optim"]["lr"] == 1e-3
    lr = next(item for item in made.space.as_dict()["searched"] if item["path"] == "train.optim.lr")
    assert lr["low"] < 1e-3 < lr["high"]


def test_a_job_is_the_action_with_its_spec_in_a_folder_of_its_own(tmp_path):
    made = plan(tmp_path, gpus=2, node_gpus=2)
    job = jobs.trial_job(made, 12, 3)
    assert job.id == "s-0012-3"
    assert job.folder == made.paths.attempt(12, 3).folder
    assert job.command == ("tiny", "train", "-e", str(job.folder / "spec.yaml"))
    assert (job.action, job.image, job.runtime, job.gpus) == ("train", "registry.example/tiny:1", "process", 2)


def test_a_folder_with_spaces_is_one_word_of_the_command(tmp_path):
    made = plan(tmp_path, studies_dir=str(tmp_path / "my studies"))
    assert jobs.trial_job(made, 0, 1).command[-1] == str(tmp_path / "my studies/s/trials/0000/attempt-1/spec.yaml")


def test_what_is_written_is_enough_to_run_the_job_by_hand(tmp_path):
    made = plan(tmp_path, studies_dir=str(tmp_path / "my studies"))
    paths, job = made.paths.attempt(0, 1), jobs.trial_job(made, 0, 1)
    jobs.write_job(paths, job, jobs.first_spec(made))
    assert spec_file.load(paths.spec.read_text()) == jobs.first_spec(made)
    assert JobSpec.from_json(paths.job.read_text()) == job
    assert f"exec tiny train -e '{paths.spec}'" in paths.run_sh.read_text()
    assert os.access(paths.run_sh, os.X_OK)
    assert sorted(path.name for path in paths.folder.iterdir()) == ["job.json", "run.sh", "spec.yaml"]


# GPUs, nodes and containers


def test_one_gpu_more_than_this_machine_has_is_refused_with_both_numbers(tmp_path):
    assert plan(tmp_path, gpus=2, node_gpus=2).gpus == 2
    error = refused(tmp_path, gpus=3, node_gpus=2, set="dataset.batch_size=1")
    assert (error.exit_code, error.code) == (3, "no-such-node")
    assert "3 GPUs" in error.message
    assert "has 2" in error.message
    assert "--gpus 2" in error.tip
    assert plan(tmp_path, gpus=3, node_gpus=2, address="box:6379").gpus_here is None


@pytest.mark.parametrize(
    ("gpus", "node_gpus", "parallel"), [(1, 4, 4), (2, 5, 2), (3, 3, 1), (0.5, 2, 4), (0.3, 2, 6), (0.1, 1, 10)]
)
def test_as_many_trials_run_at_a_time_as_the_gpus_hold(tmp_path, gpus, node_gpus, parallel):
    flags = {"gpus": gpus, "node_gpus": node_gpus, "trials": 20}
    assert plan(tmp_path, **flags).parallel == parallel
    assert plan(tmp_path, **flags, parallel=1).parallel == 1
    assert plan(tmp_path, **flags, address="box:6379").parallel == 1


def test_containers_share_a_gpu_only_if_asked_to(tmp_path):
    flags = {"gpus": 0.5, "node_gpus": 1, "runtime": "docker"}
    error = refused(tmp_path, **flags)
    assert (error.exit_code, error.code) == (2, "shared-gpu")
    assert "--share-gpus on" in error.tip
    assert plan(tmp_path, **flags, share_gpus="on").parallel == 2
    assert plan(tmp_path, **{**flags, "runtime": "process"}).gpus == 0.5


def test_a_trial_on_several_nodes_needs_a_cluster_and_a_key(tmp_path):
    flags = {"skill_dir": str(DINO), "nodes": 2, "set": "dataset.batch_size=1"}
    assert "2 nodes, and this machine is one" in refused(tmp_path, **flags).message
    made = plan(tmp_path, **flags, address="box:6379")
    assert (made.nodes, jobs.trial_job(made, 0, 1).nodes) == (2, 2)
    assert keypath.get(made.launch.spec, "train.num_nodes") == 2
    error = refused(tmp_path, nodes=2, address="box:6379")
    assert error.message == "--nodes: this model has no such key"
    assert "whole GPUs" in refused(tmp_path, **flags, address="box:6379", gpus=0.5).message


def test_the_job_carries_what_was_asked_for_containers(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hidden")
    made = plan(
        tmp_path,
        image="mine:2",
        image_policy="never",
        shm_size="1 GiB",
        network="none",
        env=["HF_TOKEN", "NCCL_DEBUG=INFO"],
    )
    job = jobs.trial_job(made, 12, 3)
    assert (job.study, job.trial, job.attempt) == (f"s@{made.studies.folder}", 12, 3)
    assert (job.image, job.image_policy, job.network, job.shm_bytes) == ("mine:2", "never", "none", 2**30)
    assert (job.env, job.secrets) == ({"NCCL_DEBUG": "INFO"}, ("HF_TOKEN",))
    assert "hidden" not in job.to_json()
    assert made.room(1).secrets == {"HF_TOKEN": "hidden"}
    assert "hidden" not in repr(made.room(1))


def test_a_secret_without_a_value_is_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    error = refused(tmp_path, env="HF_TOKEN")
    assert (error.exit_code, error.code) == (2, "secret-missing")
    assert plans.known(settings(tmp_path, env="HF_TOKEN"), NOW).name == "s"


def test_another_image_stands_for_that_of_the_training_only(tmp_path, own_skill):
    made = plan(tmp_path, skill_dir=str(own_skill), image="mine:2")
    train = made.skill.actions["train"]
    assert made.image(train) == "mine:2"
    assert made.image(dataclasses.replace(train, image="deploy:1")) == "deploy:1"


def test_a_container_sees_the_data_and_what_the_user_mounts(tmp_path):
    (tmp_path / "cache").mkdir()
    made = dataclasses.replace(plan(tmp_path, mount=f"{tmp_path}/cache:/cache:rw"), runtime="docker")
    seen = {mount.container: (mount.host, mount.read_only) for mount in jobs.trial_job(made, 0, 1).mounts}
    own = [tmp_path / split / name for split in ("train", "val") for name in ("images", "annotations.json")]
    assert seen == {"/cache": (f"{tmp_path}/cache", False), **{str(path): (str(path), True) for path in own}}
    assert jobs.trial_job(plan(tmp_path), 0, 1).mounts == ()


def test_the_folder_of_an_archive_is_seen_before_it_is_unpacked(tmp_path):
    asked = settings(tmp_path)
    images = tmp_path / "train" / "images"
    with tarfile.open(tmp_path / "train" / "images.tar.gz", "w:gz") as archive:
        archive.add(images, "images")
    shutil.rmtree(images)
    made = dataclasses.replace(plans.prepare(asked, NOW), runtime="docker")
    before = jobs.trial_job(made, 0, 1)
    unpacked = made.studies.unpacked(made.data.train[0].images) / "images"
    assert str(unpacked) in {mount.host for mount in before.mounts}
    unpacked.mkdir(parents=True)
    assert jobs.trial_job(made, 0, 1) == before


def test_the_jobs_of_trials_are_told_from_others_by_their_id():
    assert jobs.is_trial_job(jobs.job_id("s", 12, 3), "s")
    assert jobs.is_trial_job(jobs.job_id("s-1", 12345, 1), "s-1")
    others = ("s-export-001", "s-0012-3-node1", "t-0012-3", "s-1-0012-3", "s")
    assert not any(jobs.is_trial_job(identity, "s") for identity in others)


# The search


def test_the_default_parameters_of_the_model_are_searched(tmp_path):
    searched = plan(tmp_path).space.as_dict()["searched"]
    assert [item["path"] for item in searched] == ["train.optim.lr", "train.optim.weight_decay"]
    assert [item["origin"] for item in searched] == ["role: learning rate", "role: weight decay"]


def test_flags_narrow_widen_and_end_the_search(tmp_path):
    made = plan(
        tmp_path, search=["train.optim.lr=1e-4..1e-3:log", "train.precision=fp32,bf16"], keep="train.optim.weight_decay"
    )
    shown = made.space.as_dict()
    lr, precision = shown["searched"]
    assert (lr["path"], lr["low"], lr["high"], lr["log"]) == ("train.optim.lr", 1e-4, 1e-3, True)
    assert (precision["path"], precision["choices"]) == ("train.precision", ["fp32", "bf16"])
    assert [(item["path"], item["why"]) for item in shown["kept"]] == [("train.optim.weight_decay", "kept by --keep")]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"search": "train.optim.lrr=1..2"}, "train.optim.lrr"),
        ({"search": "train.optim.lr=1e-3..1e-5"}, "train.optim.lr"),
        ({"search": "train.optim.lr=low..high"}, "train.optim.lr"),
        ({"search": "train.optim.lr=-1..1"}, "train.optim.lr"),
        ({"keep": "train.optim.lrr"}, "train.optim.lrr"),
    ],
)
def test_a_search_that_cannot_be_is_refused(tmp_path, flags, said):
    error = refused(tmp_path, **flags)
    assert isinstance(error, UsageError)
    assert said in error.message
    assert error.tip


def test_with_the_policy_off_one_plain_training_is_planned(tmp_path):
    made = plan(tmp_path, automl_policy="off", search="train.optim.lr=1e-4..1e-3", trials=10, parallel=4)
    assert (made.trials, made.parallel) == (1, 1)
    shown = made.space.as_dict()
    assert shown["searched"] == []
    assert {(item["path"], item["why"]) for item in shown["kept"]} == {
        ("train.optim.lr", plans.OFF),
        ("train.optim.weight_decay", plans.OFF),
    }
    assert jobs.first_spec(made)["train"]["optim"]["lr"] == 2e-4


def test_a_model_that_is_not_enabled_is_trained_only_with_the_policy_off(tmp_path, own_skill):
    change(own_skill / "references" / "skill_info.yaml", "automl_enabled: true", "automl_enabled: false")
    error = refused(tmp_path, skill_dir=str(own_skill))
    assert isinstance(error, SkillError)
    assert error.message == "model 'tiny' is not enabled for AutoML"
    assert "--automl-policy off" in error.tip
    assert plan(tmp_path, skill_dir=str(own_skill), automl_policy="off").trials == 1


@pytest.mark.parametrize("file", ["schemas/train.schema.json", "references/spec_template_train.yaml"])
def test_a_model_without_schema_or_template_is_enabled_but_not_runnable(tmp_path, own_skill, file):
    (own_skill / file).unlink()
    error = refused(tmp_path, skill_dir=str(own_skill))
    assert isinstance(error, SkillError)
    assert "not runnable until" in error.message
    assert Path(file).name in error.message


# The metric


def test_the_metric_has_the_direction_that_the_model_states(tmp_path):
    assert plan(tmp_path).metric.maximizes
    assert not plan(tmp_path, metric="val_loss").metric.maximizes
    assert not plan(tmp_path, direction="minimize").metric.maximizes


# Data and runtime


def test_data_without_a_runtime_falls_back_to_nothing(tmp_path):
    error = refused(tmp_path, runtime=None)
    assert (error.exit_code, error.code) == (2, "runtime-missing")
    assert "--runtime process" in error.tip


def test_a_runtime_without_data_falls_back_to_nothing(tmp_path):
    assert "training needs --train-data" in refused(tmp_path, train_data=None, val_data=None).message


def test_a_stand_in_with_data_trains_on_that_data(tmp_path):
    made = plan(tmp_path, runtime="standin")
    assert not made.embedded
    assert keypath.get(made.launch.spec, "dataset.val.image_dir") == str(tmp_path / "val" / "images")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"val_data": None}, "--val-data"),
        ({"train_data": "nowhere"}, "nowhere"),
        ({"num_classes": 2}, "category id 2"),
        ({"set": "dataset.batch_size=4"}, "more than the 3 images"),
        ({"set": "train.optim.lrr=1"}, "train.optim.lrr"),
        ({"set": "train.num_epochs=many"}, "train.num_epochs"),
        ({"runtime": "proces"}, "proces"),
        ({"algorithm": "tpee"}, "tpee"),
        ({"pruner": "medain"}, "medain"),
        ({"metric": "val_map50"}, "val_map50"),
    ],
)
def test_whatever_is_asked_wrongly_is_one_sentence_with_a_tip(tmp_path, flags, said):
    error = refused(tmp_path, **flags)
    assert error.exit_code == 2
    assert said in error.message
    assert "\n" not in error.message
    assert error.tip


def test_a_model_is_found_by_its_name(tmp_path, own_skill, monkeypatch):
    monkeypatch.setenv("TAO_AUTOML_SKILLS_DIR", str(own_skill.parent))
    assert plan(tmp_path, skill_dir=None, model="tiny").skill.folder == own_skill
    assert "'tiny'" in refused(tmp_path, skill_dir=None, model="tinny").tip
    assert refused(tmp_path, skill_dir=None, model=None).message == "no model is named"


def test_the_last_word_may_refuse_a_plan(tmp_path):
    def refuse(made: plans.Plan) -> None:
        raise UsageError(f"no {made.name}")

    with pytest.raises(UsageError, match="no s"):
        plans.prepare(settings(tmp_path), datetime(2026, 1, 1), refuse)


def test_the_number_of_epochs_cannot_be_searched(tmp_path):
    """A trial is over when its last epoch is: all have the same."""
    error = refused(tmp_path, search="train.num_epochs=2..5")
    assert error.message.endswith("it must be the same in every trial")
    assert "train.num_epochs" in error.message


# A bank of skills without our facts


def bank_plan(tmp_path, leaves=None, flags=None, **changes):
    bank.write(tmp_path / "bank", "tao-train-net", {**bank.TRAINER, **(leaves or {})}, **changes)
    asked = {"skill_dir": str(tmp_path / "bank"), "train_data": None, "val_data": None, **(flags or {})}
    return plan(tmp_path, **{"set": f"dataset.root_dir={tmp_path}", **asked})


def test_a_model_of_a_bank_is_planned_by_its_own_files(tmp_path):
    made = bank_plan(tmp_path)
    assert (made.skill.model, made.metric.name, made.epochs) == ("net", "val_miou", 10)
    assert [item.path for item in made.space.parameters] == ["train.optim.lr"]
    assert jobs.trial_job(made, 0, 1).command[:3] == ("net", "train", "-e")


def test_a_root_of_many_skills_needs_the_name_of_one(tmp_path):
    bank.write(tmp_path / "bank", "tao-train-other")
    assert bank_plan(tmp_path, flags={"model": "net"}).skill.model == "net"
    error = refused(tmp_path, skill_dir=str(tmp_path / "bank"))
    assert (error.message, error.tip.rpartition(": ")[2]) == ("no model is named", "net, other")


def test_several_roots_are_one(tmp_path):
    bank.write(tmp_path / "more", "tao-train-other")
    roots = [str(tmp_path / "bank"), str(tmp_path / "more")]
    assert bank_plan(tmp_path, flags={"skill_dir": roots, "model": "other"}).skill.model == "other"
    assert "'other'" in refused(tmp_path, skill_dir=roots, model="othr").tip
    joined = bank_plan(tmp_path, flags={"skill_dir": os.pathsep.join(roots), "model": "other"})
    assert joined.settings["skill_dir"] == [Path(root) for root in roots]


def test_the_embedded_trainer_does_not_stand_for_a_model_it_does_not_play(tmp_path):
    bank.write(tmp_path / "bank", "tao-train-net")
    flags = {"skill_dir": str(tmp_path / "bank"), "train_data": None, "val_data": None, "runtime": None}
    error = refused(tmp_path, **flags)
    assert error.message.startswith("nothing says what model 'net' is to train on")
    assert "dataset.root_dir" in error.tip


def test_an_image_that_tao_leaves_open_is_asked_for(tmp_path):
    changes = {"container_image": {"policy": "derived"}}
    assert bank_plan(tmp_path, **changes).image(bank_plan(tmp_path, **changes).skill.actions["train"]) == ""
    with pytest.raises(SkillError, match="names no image for train") as caught:
        bank_plan(tmp_path, flags={"runtime": "docker"}, **changes)
    assert "--image" in caught.value.tip
    assert (
        jobs.trial_job(bank_plan(tmp_path, flags={"runtime": "docker", "image": "a:1"}, **changes), 0, 1).image == "a:1"
    )


def test_a_command_that_reads_toml_gets_its_spec_as_toml(tmp_path):
    train = {
        "command": "net --config {config_path} run.py",
        "config_format": "toml",
        "inputs": {"dataset.root_dir": "folder"},
    }
    made = bank_plan(tmp_path, {"train.resume": {"type": "string", "default": None}}, actions={"train": train})
    job, paths = jobs.trial_job(made, 0, 1), made.paths.attempt(0, 1)
    assert job.command == ("net", "--config", str(paths.folder / "spec.toml"), "run.py")
    spec = jobs.first_spec(made)
    jobs.write_job(paths, job, spec)
    written = template.load(paths.folder / "spec.toml")
    assert written["train"].pop("resume", None) is None
    assert written == {**spec, "train": {key: value for key, value in spec["train"].items() if key != "resume"}}
    assert spec_file.load(paths.spec.read_text()) == spec


def test_a_command_that_is_a_script_is_run_by_a_shell(tmp_path):
    train = {"command": "python - {config_path} <<'PY'\nprint(1)\nPY\n", "inputs": {"dataset.root_dir": "folder"}}
    made = bank_plan(tmp_path, actions={"train": train})
    shell, option, text = jobs.trial_job(made, 0, 1).command
    assert (shell, option) == ("bash", "-c")
    assert text.splitlines()[0] == f"python - {made.paths.attempt(0, 1).spec} <<'PY'"


def test_epochs_and_devices_are_no_part_of_a_search(tmp_path):
    searched = {"type": "int", "default": 10, "minimum": 1, "maximum": 20, "automl_enabled": True}
    made = bank_plan(tmp_path, {"train.num_epochs": searched})
    assert {entry.path: entry.why for entry in made.space.kept} == {
        "train.num_epochs": "it must be the same in every trial: --epochs sets it"
    }


def test_the_embedded_trainer_makes_data_in_the_form_that_a_model_takes(tmp_path):
    unnamed = dict.fromkeys(("skill_dir", "train_data", "val_data", "runtime"))
    made = plans.prepare(settings(tmp_path, **unnamed, model="grounding_dino"), NOW)
    assert made.embedded
    (train,), (val,) = made.data.train, made.data.val
    assert [item.annotations.name for item in (train, val)] == ["annotations_odvg.jsonl", "annotations.json"]
    assert keypath.get(made.launch.spec, "dataset.eval_class_ids") == sorted(val.categories)
    assert min(val.categories) == 0


def test_training_needs_every_input_of_the_skill(tmp_path):
    dino = {
        "skill_dir": None,
        "model": "dino",
        "val_data": None,
        "set": "dataset.val_data_sources[0].json_file=/a.json",
    }
    with pytest.raises(UsageError, match=r"train needs dataset\.val_data_sources\[0\]\.image_dir") as raised:
        plan(tmp_path, **dino)
    assert raised.value.code == "input-missing"


@pytest.mark.parametrize("name", ["tao-train-dino", "tao-train-deformable-detr"])
def test_taos_own_folder_of_a_model_that_we_ship_gets_our_facts_and_its_data(tmp_path, name):
    own = shutil.copytree(skills_dir() / name, tmp_path / "tao" / name)
    (own / "automl.yaml").unlink()
    file = own / "references" / "skill_info.yaml"
    info = yaml.safe_load(file.read_text())
    info["data_sources"] = {}
    file.write_text(yaml.safe_dump(info))
    made = plan(tmp_path, skill_dir=str(tmp_path / "tao"), set="dataset.batch_size=1")
    assert made.skill.folder == own
    assert (made.metric.name, made.skill.facts.listed) == ("val_mAP50", True)
    entry = {"image_dir": str(tmp_path / "val" / "images"), "json_file": str(tmp_path / "val" / "annotations.json")}
    assert keypath.get(made.launch.spec, "dataset.val_data_sources") == [entry]
    assert keypath.get(made.launch.spec, "dataset.num_classes") == 3


def test_several_folders_of_a_dataset_go_where_the_skill_says(tmp_path):
    names = ("train", "query")
    leaves = {f"dataset.{name}_dir": {"type": "string", "default": ""} for name in names}
    sources = {
        f"dataset.{name}_dir": {
            "source": "train_datasets",
            "path": f"sample_{name}.tar.gz",
            "runtime": "extracted_folder",
        }
        for name in names
    }
    for name in names:
        (tmp_path / "faces" / f"sample_{name}").mkdir(parents=True)
    flags = {"train_data": str(tmp_path / "faces")}
    made = bank_plan(tmp_path, leaves, flags, data_sources={"train": sources})
    for name in names:
        assert keypath.get(made.launch.spec, f"dataset.{name}_dir") == str(tmp_path / "faces" / f"sample_{name}")
