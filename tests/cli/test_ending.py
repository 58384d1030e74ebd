"""How a run ends: what was found, the next command, and the exit code."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from tao_automl import report
from tao_automl.cli import _console, _ending
from tao_automl.report import Study, Where
from tao_automl.tuner import Outcome
from tests.cli import study_on_disk

DONE = Outcome("the budget of 6 trials is used", interrupted=False)
INTERRUPTED = Outcome("interrupted", interrupted=True)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Where:
    folder = tmp_path_factory.mktemp("studies")
    study_on_disk.make(folder)
    return Where(folder)


@pytest.fixture(scope="module")
def study(where: Where) -> Study:
    """Trials 0 and 1 are complete, 2 is pruned, 3 failed, 4 is active; 1 is the best."""
    return report.study(where, "coco", datetime.now())


def without_result(study: Study) -> Study:
    return replace(study, trials=study.trials[3:4], winner=None)


def text(study: Study, outcome: Outcome = DONE, width: int = 120, unicode: bool = True) -> list[str]:
    return [str(line) for line in _ending.lines(study, outcome, width, unicode=unicode)]


def numbers(lines: list[str]) -> list[int]:
    """The trials of the table, in the order shown."""
    return [int(line.split()[0]) for line in lines if line[:5].strip().isdigit()]


def test_it_begins_with_what_became_of_the_trials_and_why_it_ended(study: Study) -> None:
    first = "coco: 2 complete, 1 pruned, 1 failed, 1 active; the budget of 6 trials is used"
    assert text(study)[0] == first


def test_the_best_trials_come_first_and_failed_ones_last(study: Study) -> None:
    assert numbers(text(study)) == [1, 0, 4, 2, 3]


def test_at_most_five_trials_are_shown(study: Study) -> None:
    many = [replace(study.trials[0], number=number) for number in range(10)]
    assert numbers(text(replace(study, trials=tuple(many)))) == [0, 1, 2, 3, 4]


def test_the_winner_is_named_with_its_checkpoint_and_beside_the_defaults(study: Study) -> None:
    shown = "\n".join(text(study))
    assert "trial 1 of 5, epoch 8 (counted from 0)" in shown
    assert "0.5127; the defaults (trial 0) reach 0.4688" in shown
    assert str(study.paths.attempt(1, 1).folder / "train" / "model_epoch_008_step_00100.pth") in shown


def test_a_checkpoint_that_is_gone_is_said_to_be_gone(study: Study) -> None:
    assert study.winner is not None
    gone = replace(study, winner=replace(study.winner, checkpoint=None))
    assert any(line.startswith("Checkpoint") and "gone" in line for line in text(gone))


def test_each_ending_names_the_next_command(study: Study) -> None:
    assert text(study)[-1] == "Next: tao-automl action evaluate coco"
    assert text(replace(study, evaluation={"test_mAP50": 0.5}))[-1] == "Next: tao-automl action export coco"
    assert text(study, INTERRUPTED)[-1] == "Next: tao-automl resume coco"
    assert text(without_result(study))[-1] == "Next: tao-automl show coco/3"


def test_without_a_result_the_first_failure_is_told_with_its_log(study: Study) -> None:
    shown = text(without_result(study))
    said = "Trial 3 failed with gpu_oom: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB."
    assert f"No trial has a result. {said}" in shown
    assert f"Log: {study.paths.attempt(3, 1).log}" in shown


def test_without_any_trial_nothing_is_made_up(study: Study) -> None:
    shown = text(replace(study, trials=(), winner=None), INTERRUPTED)
    assert shown == ["coco: no trials; interrupted", "", "No trial has a result.", "", "Next: tao-automl resume coco"]


def test_in_ascii_the_table_is_ascii(study: Study) -> None:
    assert "\n".join(text(study, unicode=False)).isascii()
    assert not "\n".join(text(study)).isascii()


@pytest.mark.parametrize("width", [20, 60, 80])
def test_values_are_whole_in_a_narrow_terminal(study: Study, width: int) -> None:
    shown = "\n".join(text(study, width=width))
    assert all(value in shown for value in ("0.5127", "0.4688", "0.2000", "0.0200", "0.0912"))


def test_the_table_fits_eighty_columns(study: Study) -> None:
    lines = text(study, width=80)
    table = lines[2 : lines.index("", 2)]
    assert max(map(cell_len, table)) <= 80


@pytest.mark.parametrize(("outcome", "code"), [(DONE, 0), (INTERRUPTED, 130)])
def test_the_exit_code_tells_how_it_ended(where: Where, capsys, outcome: Outcome, code: int) -> None:
    assert _ending.finish(_console.Console(), where, "coco", outcome, as_json=False) == code
    assert capsys.readouterr().out.startswith("coco: ")


def test_as_json_the_ending_prints_nothing(where: Where, capsys) -> None:
    assert _ending.finish(_console.Console(), where, "coco", DONE, as_json=True) == 0
    assert capsys.readouterr() == ("", "")


def test_a_study_without_a_result_ends_with_1(tmp_path: Path, capsys) -> None:
    study_on_disk.create(tmp_path / "studies")
    assert _ending.finish(_console.Console(), Where(tmp_path / "studies"), "coco", DONE, as_json=False) == 1
    assert "No trial has a result." in capsys.readouterr().out
