"""What is submitted: the spec of a trial, its job, and the files of the job."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tarfile

from tao_automl import jobs
from tao_automl import plan as plans
from tao_automl.execution.job import JobSpec
from tao_automl.tao import keypath, template
from tao_automl.tao import spec as spec_file
from tests.fakes import bank
from tests.fakes.tiny import NOW, plan, settings


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


def test_what_a_driver_starts_is_told_from_other_jobs_by_its_id():
    assert jobs.is_drivers(jobs.job_id("s", 12, 3), "s")
    assert jobs.is_drivers(jobs.job_id("s-1", 12345, 1), "s-1")
    assert jobs.is_drivers(jobs.score_id("s", 12, 3, 2), "s")
    assert jobs.is_drivers(jobs.final_id("s-evaluate-001"), "s")
    others = ("s-evaluate-001", "s-0012-3-node1", "t-0012-3", "s-1-0012-3", "s", jobs.final_id("s-1-evaluate-001"))
    assert not any(jobs.is_drivers(identity, "s") for identity in others)


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


def test_a_command_that_reads_toml_gets_its_spec_as_toml(tmp_path):
    train = {
        "command": "net --config {config_path} run.py",
        "config_format": "toml",
        "inputs": {"dataset.root_dir": "folder"},
    }
    made = bank.planned(tmp_path, {"train.resume": {"type": "string", "default": None}}, actions={"train": train})
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
    made = bank.planned(tmp_path, actions={"train": train})
    shell, option, text = jobs.trial_job(made, 0, 1).command
    assert (shell, option) == ("bash", "-c")
    assert text.splitlines()[0] == f"python - {made.paths.attempt(0, 1).spec} <<'PY'"
