"""The best configs are trained again after the search, and their mean decides."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tao_automl import results
from tao_automl.errors import UsageError
from tao_automl.search import attributes, confirm
from tao_automl.tao import spec as spec_file
from tests.fakes.cluster import Script
from tests.fakes.tiny import SKILL, Bench, plan

# Trials 0 to 3 are the search; the lucky trial 2 is not so good again, and trial 1 is.
VALUES = [0.3, 0.6, 0.65, 0.2, 0.4, 0.42, 0.62, 0.61]


def seeded(folder: Path) -> str:
    """The tiny model with a seed in its spec."""
    if not folder.exists():
        shutil.copytree(SKILL, folder)
        facts, template = folder / "automl.yaml", folder / "references" / "spec_template_train.yaml"
        schema = folder / "schemas" / "train.schema.json"
        document = json.loads(schema.read_text())
        document["properties"]["train"]["properties"]["seed"] = {"type": "int", "default": 1234}
        schema.write_text(json.dumps(document))
        facts.write_text(facts.read_text().replace("keys:\n", "keys:\n  seed: train.seed\n"))
        template.write_text(template.read_text().replace("train:\n  num", "train:\n  seed: 1234\n  num"))
    return str(folder)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def make(values: list[float] = VALUES, **flags: object) -> Bench:
        asked = {"trials": 4, "parallel": 1, "epochs": 1, "pruner": "none", "confirm": 2, **flags}
        asked["skill_dir"] = seeded(tmp_path / "skill")
        return Bench(plan(tmp_path, **asked), lambda trial, _attempt: Script([values[trial]]))

    return make


def best(made: Bench) -> int:
    won = results.best(made.plan.paths, "s", made.trials, made.plan.metric)
    assert won is not None
    return won.trial


def test_the_winner_is_the_best_on_average_and_not_the_luckiest(bench):
    made = bench()
    outcome = made.run()
    assert (outcome.reason, outcome.interrupted) == ("the budget of 4 trials is used", False)
    repeats = [(trial.number, trial.user_attrs["parent"]) for trial in made.trials if confirm.is_repeat(trial)]
    assert repeats == [(4, 2), (5, 2), (6, 1), (7, 1)]
    assert best(made) == 6
    found = confirm.confirmed(made.trials)
    assert found[1].values == (0.6, 0.62, 0.61)
    assert found[2].as_dict()["spread"] == [0.4, 0.65]
    assert made.events("new_best")[-1]["trial"] == 6


def test_a_repeat_has_the_same_config_and_another_seed(bench):
    made = bench()
    made.run()
    specs = [spec_file.load(made.plan.paths.attempt(number, 1).spec.read_text()) for number in (1, 6, 7)]
    assert len({spec["train"]["seed"] for spec in specs}) == 3
    for spec in specs:
        del spec["train"]["seed"], spec["results_dir"]
    assert specs[0] == specs[1] == specs[2]


def test_no_winner_changes_before_all_repeats_are_over(bench):
    made = bench()
    made.tuner.adopt()
    for _ in range(60):
        made.ticks(1 if len(made.trials) < 7 else 0)
    assert len(made.trials) == 7
    assert best(made) == 2


def test_a_driver_that_dies_repeats_nothing_twice(bench):
    made = bench()
    made.tuner.adopt()
    for _ in range(12):
        made.ticks(3)
        made.new_driver().adopt()
    made.run()
    assert made.states == ["COMPLETE"] * 8
    assert best(made) == 6


def test_a_target_ends_the_search_and_not_the_repeats(bench):
    made = bench([0.3, 0.6, 0.5, 0.5, 0.5, 0.5], trials=9, target=0.55, confirm=1)
    assert made.run().reason == "the target of 0.55 is reached: trial 1 has 0.6"
    assert [trial.user_attrs.get(attributes.KIND) for trial in made.trials] == [None, None, "confirm", "confirm"]


def test_repeats_that_fail_leave_the_winner_as_it_was(bench, tmp_path):
    skill = seeded(tmp_path / "skill")
    asked = plan(tmp_path, skill_dir=skill, trials=2, parallel=1, epochs=1, pruner="none", confirm=1)
    bad = Script([], exit_code=1, finishes=False, log="KeyError: 'x'")
    made = Bench(asked, lambda trial, _attempt: Script([[0.3, 0.6][trial]]) if trial < 2 else bad)
    made.run()
    assert made.states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert best(made) == 1


def test_a_model_without_a_seed_is_not_repeated(tmp_path):
    with pytest.raises(UsageError, match="nothing says where the spec of model 'tiny' has its seed"):
        plan(tmp_path, confirm=1)
