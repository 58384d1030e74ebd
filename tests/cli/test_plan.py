"""`tao-automl plan`: what would run, each value with its origin, and nothing made."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli import driven


def cells(out: str, title: str) -> dict[str, list[str]]:
    """The rows of the table whose first column is `title`, by their first cell."""
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title + "  "))
    rows = lines[start + 1 :]
    rows = rows[: rows.index("")]
    return {row.split()[0]: row.split("  ") for row in rows}


def test_it_says_what_would_run(call, tmp_path: Path) -> None:
    said = call("plan", *driven.data(tmp_path), "--name", "s", "--trials", "7", "--time", "2h")
    assert (said.code, said.err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in said.out.splitlines() if line[:1].isupper() and "  " in line)
    assert facts["Study"] == "s (new)"
    assert facts["Goal"] == "maximize val_mAP50"
    assert facts["Data"] == "train train: 3 images, 3 boxes, 2 categories"
    assert facts["Budget"].startswith("7 trials of 3 epochs or 2h00m, 1 at a time")
    assert facts["Search"] == "2 parameters, auto, seed 1; trial 0 is the model's defaults"
    spec = tmp_path / "studies" / "s" / "trials" / "0000" / "attempt-1" / "spec.yaml"
    assert f"  tiny train -e {spec}" in said.out.splitlines()
    assert said.out.splitlines()[-1] == "Nothing was started."


def test_each_value_has_its_origin(call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TAO_AUTOML_SEED", "5")
    (tmp_path / "study.yaml").write_text("trials: 4\nparallel: 2\n", encoding="utf-8")
    words = ("-f", "study.yaml", "--parallel", "1", "--set", "dataset.batch_size=2")
    out = call("plan", *driven.data(tmp_path), *words).out
    settings = {name: row[-1].strip() for name, row in cells(out, "SETTING").items()}
    assert (settings["seed"], settings["parallel"]) == ("environment", "flag")
    assert "study.yaml" in settings["trials"]
    launched = {path: row[-1].strip() for path, row in cells(out, "SET IN EVERY SPEC").items()}
    assert launched["dataset.batch_size"] == "flag: set"
    assert launched["dataset.num_classes"] == "data: highest category id + 1"
    assert launched["train.precision"] == "skill: the safest choice"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_it_makes_neither_a_study_nor_a_database(call, files_below, tmp_path: Path, options) -> None:
    words = driven.data(tmp_path)
    before = files_below(tmp_path)
    assert call("plan", *words, *options).code == 0
    assert files_below(tmp_path) == before
    assert not (tmp_path / "studies").exists()


def test_as_json_it_is_one_object(call, tmp_path: Path) -> None:
    said = call("plan", *driven.data(tmp_path), "--name", "s", "--trials", "7", "--json")
    document = said.document
    assert said.err == ""
    assert (document["schema"], document["study"], document["model"]) == (1, "s", "tiny")
    limits = {"trials": 7, "time_s": None, "max_failures": 5, "target": None, "plateau": None}
    assert document["budget"] == limits
    assert document["settings"]["trials"] == {"value": 7, "origin": "flag"}
    assert document["launch"]["dataset.num_classes"] == {"value": 3, "origin": "data: highest category id + 1"}
    assert [item["path"] for item in document["space"]["searched"]] == ["train.optim.lr", "train.optim.weight_decay"]
    assert document["first_command"][:3] == ["tiny", "train", "-e"]
    assert yaml.safe_load(document["first_spec"])["dataset"]["num_classes"] == 3


def test_the_first_spec_is_the_models_defaults(call, tmp_path: Path) -> None:
    document = call("plan", *driven.data(tmp_path), "--json").document
    optim = yaml.safe_load(document["first_spec"])["train"]["optim"]
    assert (optim["lr"], optim["weight_decay"]) == (2e-4, 1e-4)


def test_of_a_container_it_says_image_and_what_is_seen(call, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hidden")
    words = ("--runtime", "docker", "--image", "mine:2", "--env", "HF_TOKEN", "--shm-size", "2 GiB")
    said = call("plan", *driven.data(tmp_path), *words)
    assert said.code == 0, said.err
    assert "mine:2" in said.out
    assert "image pulled: missing, 2.0 GiB of shared memory" in said.out
    assert str(tmp_path / "train" / "images") in said.out
    assert "hidden" not in said.out


def test_a_password_is_not_shown(call, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'no'}/user:secret@host"
    said = call("plan", *driven.data(tmp_path), "--storage", storage)
    assert "secret" not in said.out


def test_with_the_policy_off_one_plain_training_is_planned(call, tmp_path: Path) -> None:
    said = call("plan", *driven.data(tmp_path), "--automl-policy", "off")
    assert "none: one plain training" in said.out
    assert "AutoML policy is off" in said.out


def test_where_the_profile_cannot_run_the_stand_in_is_said_first_and_then_why(call, tmp_path: Path) -> None:
    said = call("plan", "--model", "dino", "--node-gpus", "0")
    assert said.code == 0, said.err
    first, second, *_ = said.out.splitlines()
    assert first.startswith("No data is named: the stand-in trainer runs")
    assert second.startswith("The profile of dino cannot be used here: a trial needs 1 GPU, and this machine has 0.")
    assert second.endswith("profile.yaml --runtime docker")
    own = call("plan", "--model", "dino", "--node-gpus", "0", "--json").document["profile"]
    assert own["file"].endswith("tao-train-dino/profile.yaml")
    assert own["lacks"] in second


@pytest.mark.parametrize("columns", ["50", "80"])
def test_in_a_narrow_terminal_names_and_origins_are_whole(call, monkeypatch, tmp_path: Path, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = call("plan", *driven.data(tmp_path)).out
    for whole in ("dataset.num_classes", "data: highest category id + 1", "1e-05..0.001", "0.0002"):
        assert whole in out


def test_points_are_shown_with_what_they_change(call) -> None:
    words = ("plan", "--model", "dino", "--name", "s", "--point", "train.optim.lr=3e-4,model.num_queries=300")
    assert "Tries    --point: train.optim.lr=0.0003" in call(*words).out.splitlines()
    assert call(*words, "--json").document["points"] == [{"source": "--point", "values": {"train.optim.lr": 3e-4}}]
