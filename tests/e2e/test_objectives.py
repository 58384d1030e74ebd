"""Several metrics, scores by the evaluate action, repeats and a baseline in one study, whose driver is killed."""

from __future__ import annotations

import time

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

WORDS = ("--model", "dino", "--trials", "1", "--epochs", "1", "--parallel", "1", "--name", "k")
GOALS = ("--metric", "val_mAP50", "--metric", "train_time_s", "--constraint", "train_time_s<=3600")


@pytest.mark.timeout(600)
def test_scores_repeats_and_the_pareto_set_survive_a_kill(cli) -> None:
    driver = cli.start("run", *WORDS, *GOALS, "--eval-action", "--baseline", "--confirm", "1")
    end = time.monotonic() + 240
    while not (cli.studies / "k/trials/0000/attempt-1/score-1/spec.yaml").exists():
        assert time.monotonic() < end, "trial 0 was not scored"
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    driver.kill()
    driver.communicate()
    cli("resume", "k")

    status = cli.json("status", "k")
    assert [trial["state"] for trial in status["trials"]] == ["COMPLETE"] * 3
    assert [trial["kind"] for trial in status["trials"]] == [None, "confirm", "confirm"]
    folders = sorted(path.relative_to(cli.studies).as_posix() for path in cli.studies.glob("k/trials/*/*/score-*"))
    assert folders == [f"k/trials/{number:04d}/attempt-1/score-1" for number in range(3)]
    found = cli.json("best", "k")
    assert found["eval_action"] == "evaluate"
    assert found["baseline"]["of"] == "defaults"
    assert [len(item["values"]) for item in found["confirmed"]] == [3]
    assert found["confirmed"][0]["trial"] == 0
    assert found["pareto"]
    assert set(found["pareto"][0]["values"]) == {"val_mAP50", "train_time_s"}
    assert found["measured"]["train_time_s"] > 0


def test_the_winner_is_evaluated_at_the_end_and_only_once(cli) -> None:
    on = {"TAO_AUTOML_FINAL_EVALUATION": "on"}
    words = ("run", "--model", "dino", "--automl-policy", "off", "--epochs", "1", "--name", "k")
    driver = cli.start(*words, **on)
    driver.communicate(timeout=280)
    found = cli.json("best", "k")
    assert found["evaluation"]["test_mAP50"] == pytest.approx(found["value"], abs=1e-6)
    cli("resume", "k", **on)
    assert [path.name for path in (cli.studies / "k" / "actions").iterdir()] == ["evaluate-001"]
