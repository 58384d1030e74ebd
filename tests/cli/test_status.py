"""`tao-automl status`: all studies, or the trials of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import create_trial

from tao_automl.search.attributes import ATTEMPT, BEST_EPOCH, BEST_VALUE, WIDENED
from tao_automl.search.study import ask, load, open_storage, set_study_attributes
from tests.cli import study_on_disk


@pytest.fixture(autouse=True)
def study(tmp_path: Path) -> None:
    study_on_disk.make(tmp_path / "studies")


def test_all_studies_are_listed_with_their_best(call) -> None:
    said = call("status")
    assert said.code == 0
    header, row = said.out.splitlines()
    assert header.split() == ["STUDY", "MODEL", "STATE", "TRIALS", "BEST", "METRIC", "STARTED"]
    assert row.split()[:5] == ["coco", "detector", "stopped", "4/6", "0.5127"]


def test_each_trial_has_a_line_with_its_state_and_value(call) -> None:
    said = call("status", "coco")
    rows = {line.split()[0]: line for line in said.out.splitlines() if line[:5].strip().isdigit()}
    states = [rows[str(number)].split()[1] for number in range(5)]
    assert states == ["complete", "complete", "pruned", "failed", "running"]
    assert "0.5127" in rows["1"]
    assert rows["1"].endswith("best")
    assert "gpu_oom" in rows["3"]


def test_the_next_command_is_named(call) -> None:
    assert "Next: tao-automl resume coco" in "".join(call("status", "coco"[:4]).err + call("status", "coco").out)


def test_as_json_it_has_the_trials(call) -> None:
    document = call("status", "coco", "--json").document
    assert document["schema"] == 1
    assert [trial["state"] for trial in document["trials"]] == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL", "RUNNING"]


def test_the_numbers_are_never_cut_however_narrow_it_is(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = call("status", "coco")
    assert all(value in said.out for value in ("0.4688", "0.5127", "0.0200", "0.0912", "0.2000"))


def test_an_unknown_study_has_near_matches(call) -> None:
    said = call("status", "cocoa")
    assert said.code == 2
    assert "cocoa" in said.err
    assert "did you mean 'coco'?" in said.err


def test_without_the_study_folder_it_still_answers(call, tmp_path: Path) -> None:
    (tmp_path / "studies" / "coco" / "trials").rename(tmp_path / "moved")
    assert "0.5127" in call("status", "coco").out


def test_a_file_that_is_no_database_is_named(call, tmp_path: Path) -> None:
    (tmp_path / "studies" / "studies.db").write_text("hello")
    said = call("status")
    assert said.code == 2
    assert "studies.db" in said.err
    assert (tmp_path / "studies" / "studies.db").read_text() == "hello"


def test_of_many_trials_the_last_are_shown_with_the_best_and_the_first(call, tmp_path: Path) -> None:
    made = study_on_disk.create(tmp_path / "studies", "long", trials=200)
    ask(made, study_on_disk.space())
    for number in range(1, 130):
        value = 0.9 if number == 7 else 0.2
        found = {ATTEMPT: 1, BEST_VALUE: value, BEST_EPOCH: 0}
        made.add_trial(create_trial(value=value, intermediate_values={0: value}, user_attrs=found))
    said = call("status", "long")
    assert said.code == 0, said.err
    shown = [int(line.split()[0]) for line in said.out.splitlines() if line[:5].strip().isdigit()]
    assert shown == [0, 7, *range(30, 130)]
    assert "28 earlier trials are left out; --json has all" in said.out
    assert len(call("status", "long", "--json").document["trials"]) == 130
    assert "left out" not in call("status", "coco").out


def test_a_range_that_was_widened_is_said(call, tmp_path: Path) -> None:
    moved = {"path": "train.optim.lr", "side": "high", "to": 0.02, "trials": 6}
    opened = load(open_storage(f"sqlite:///{tmp_path / 'studies' / 'studies.db'}"), "coco")
    set_study_attributes(opened, {WIDENED: [moved]})
    assert "the high end of train.optim.lr is now 0.02" in call("status", "coco").out.splitlines()
    assert call("status", "coco", "--json").document["widened"] == [moved]
    assert "train.optim.lr: high end 0.02" in call("show", "coco").out
