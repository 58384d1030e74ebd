"""The main job, end to end: one command, a study, the best checkpoint, the next actions."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tao_automl.events import read
from tests.e2e.conftest import Cli

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SMALL = ("--trials", "3", "--epochs", "3", "--pruner", "none")


class Finished(NamedTuple):
    cli: Cli
    planned: dict[str, Any]
    said: str
    best: dict[str, Any]


@pytest.fixture(scope="module")
def finished(module_cli: Cli) -> Finished:
    """A small study, run once for this module, and what was planned before."""
    words = ("--model", "dino", "--name", "first", *SMALL)
    planned = module_cli.json("plan", *words)
    assert not (module_cli.studies / "first").exists()
    return Finished(module_cli, planned, module_cli("run", *words), module_cli.json("best", "first"))


def test_a_run_ends_with_the_best_checkpoint_and_the_next_command(finished: Finished) -> None:
    best = finished.best
    file = Path(best["checkpoint"])
    assert file.is_file()
    assert not file.is_symlink()
    assert file.name.startswith(f"model_epoch_{best['epoch']:03d}_step_")
    assert "tao-automl action evaluate first" in finished.said
    assert best["metric"] == "val_mAP50"
    assert best["params"]


def test_the_best_value_is_the_best_epoch_of_all_trials(finished: Finished) -> None:
    cli = finished.cli
    values = [
        (event["value"], -event["trial"], -event["epoch"])
        for event in read(cli.studies / "first" / "events.jsonl")
        if event["event"] == "epoch"
    ]
    best = finished.best
    assert (best["value"], -best["trial"], -best["epoch"]) == max(values)


def test_trial_0_is_the_launched_config_itself(finished: Finished) -> None:
    cli = finished.cli
    shown = cli.json("space", "dino")
    defaults = {item["path"]: item["default"] for item in shown["searched"]}
    started = next(
        event
        for event in read(cli.studies / "first" / "events.jsonl")
        if event["event"] == "trial_started" and event["trial"] == 0
    )
    assert {path: started["params"][path] for path in defaults} == pytest.approx(defaults)


def test_plans_first_job_is_the_first_job_that_runs(finished: Finished) -> None:
    attempt = finished.cli.studies / "first" / "trials" / "0000" / "attempt-1"
    assert json.loads((attempt / "job.json").read_text()) == finished.planned["first_job"]
    assert (attempt / "spec.yaml").read_text() == finished.planned["first_spec"]


def test_best_folder_is_ready_to_use(finished: Finished) -> None:
    cli = finished.cli
    folder, best = cli.studies / "first" / "best", finished.best
    links = [path for path in folder.iterdir() if path.suffix == ".pth"]
    assert [link.resolve() for link in links] == [Path(best["checkpoint"]).resolve()]
    assert not Path(links[0].readlink()).is_absolute()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["value"] == best["value"]
    assert float(metrics["metrics"]["val_mAP50"]) == best["value"]
    assert (folder / "spec.yaml").read_text() == Path(best["spec"]).read_text()


def test_evaluate_gives_the_same_value_as_the_epoch_did(finished: Finished) -> None:
    cli = finished.cli
    done = cli.json("action", "evaluate", "first")
    assert float(done["metrics"]["test_mAP50"]) == finished.best["value"]
    assert done["checkpoint"] == finished.best["checkpoint"]


def test_export_makes_its_file_and_a_second_one_beside_it(finished: Finished) -> None:
    cli = finished.cli
    files = [Path(cli.json("action", "export", "first")["outputs"]["export.onnx_file"]) for _ in range(2)]
    assert files[0] != files[1]
    assert all(file.is_file() for file in files)


def test_only_the_best_checkpoint_of_each_kept_trial_stays(finished: Finished) -> None:
    cli = finished.cli
    for trial in (cli.studies / "first" / "trials").iterdir():
        assert len(list(trial.rglob("model_epoch_*.pth"))) == 1


def test_a_trial_can_be_run_by_hand(finished: Finished) -> None:
    cli = finished.cli
    attempt = cli.studies / "first" / "trials" / "0000" / "attempt-1"
    before = (attempt / "train" / "status.json").read_text()
    done = subprocess.run(
        ["sh", str(attempt / "run.sh")], env=cli.environment(), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len((attempt / "train" / "status.json").read_text()) > len(before)


def test_status_and_best_answer_from_storage_and_trials_alone(finished: Finished) -> None:
    cli = finished.cli
    before = cli.json("best", "first")
    for path in (cli.studies / "first").iterdir():
        if path.name != "trials":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    after = cli.json("best", "first")
    assert after == {**before, "evaluation": None}  # that was an action's, and its folder is gone too
    assert "first" in cli("status")
    assert "complete" in cli("status", "first")


def test_policy_off_trains_once_without_a_search(cli: Cli) -> None:
    cli("run", "--model", "dino", "--name", "plain", "--epochs", "1", "--automl-policy", "off")
    trials = cli.json("status", "plain")["trials"]
    assert len(trials) == 1
    assert cli.json("best", "plain")["params"] == {}


def test_json_prints_one_event_a_line_and_nothing_else(cli: Cli) -> None:
    out = cli("run", "--model", "dino", "--name", "lines", "--trials", "2", "--epochs", "1", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "study_started"
    assert kinds[-1] == "study_finished"
    assert kinds.count("trial_finished") == 2
    assert all(event["schema"] == 1 for event in events)
    assert events == read(cli.studies / "lines" / "events.jsonl")
