"""Several objectives and constraints, from the settings to what storage and `best/` hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from tao_automl import goals, measures, results
from tao_automl.errors import StudyError, UsageError
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tao_automl.tao.metric import Direction, Metric
from tests.fakes.cluster import Script
from tests.fakes.tiny import Bench, plan

TWO = ["val_mAP50", "train_time_s"]
GOOD_AND_SLOW, FAST, BEATEN = Script([0.6], epoch_s=50), Script([0.4], epoch_s=10), Script([0.3], epoch_s=20)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def make(*scripts: Script, **flags: object) -> Bench:
        asked = {"trials": len(scripts), "parallel": 1, "epochs": 1, **flags}
        return Bench(plan(tmp_path, **asked), lambda trial, _attempt: scripts[trial])

    return make


def test_the_pareto_set_is_what_no_trial_beats_in_all_objectives(bench):
    made = bench(GOOD_AND_SLOW, FAST, BEATEN, metric=TWO)
    made.run()
    assert [trial.values for trial in made.trials] == [[0.6, 50.0], [0.4, 10.0], [0.3, 20.0]]
    unbeaten = results.pareto(made.trials, made.plan.goals.objectives)
    assert [trial.number for trial in unbeaten] == [0, 1]
    assert results.best(made.plan.paths, "s", made.trials, made.plan.metric).trial == 0


def test_checkpoints_of_the_whole_pareto_set_stay(bench):
    made = bench(GOOD_AND_SLOW, FAST, BEATEN, metric=TWO, keep_checkpoints=1)
    made.run()
    assert [bool(made.checkpoints(number)) for number in range(3)] == [True, True, False]


def test_what_breaks_a_constraint_wins_nothing_and_the_sampler_learns_it(bench):
    made = bench(GOOD_AND_SLOW, FAST, BEATEN, constraint="train_time_s<=30")
    made.run()
    assert made.states == ["COMPLETE"] * 3
    assert [trial.constraints for trial in made.trials] == [{"train_time_s<=30": over} for over in (20.0, -20.0, -10.0)]
    assert made.trials[0].user_attrs[attributes.BROKEN] == ["train_time_s<=30"]
    assert results.best(made.plan.paths, "s", made.trials, made.plan.metric).trial == 1


def test_a_trial_of_which_an_objective_is_not_known_has_failed(tmp_path):
    asked = plan(tmp_path, trials=1, epochs=1)
    unknown = goals.Goals(asked.metric, (Metric("latency_ms", Direction.MINIMIZE),))
    made = Bench(dataclasses.replace(asked, goals=unknown), lambda _trial, _attempt: FAST)
    made.run()
    assert made.states == ["FAIL"]
    assert made.trials[0].user_attrs[attributes.REASON] == "no_metric"
    assert made.trials[0].user_attrs[attributes.DETAIL].startswith("nothing reported latency_ms; reported were ")
    assert "val_mAP50" in made.trials[0].user_attrs[attributes.DETAIL]


def test_a_config_that_cannot_run_is_no_point_of_several_objectives(bench):
    oom = Script([None], exit_code=1, finishes=False, log="torch.OutOfMemoryError: CUDA out of memory.", saves=False)
    made = bench(FAST, oom, GOOD_AND_SLOW, metric=TWO)
    made.run()
    assert len(results.pareto(made.trials, made.plan.goals.objectives)) == 2


def test_one_objective_is_told_as_ever(bench):
    made = bench(FAST)
    made.run()
    assert made.trials[0].value == 0.4
    assert made.trials[0].constraints == {}
    assert attributes.OBJECTIVES not in made.study.user_attrs
    assert attributes.MEASURED not in made.trials[0].user_attrs
    assert measures.told(made.plan, made.trials[0].user_attrs) == 0.4


def test_a_study_is_not_resumed_with_other_objectives(bench):
    made = bench(FAST, metric=TWO)
    with pytest.raises(
        StudyError, match="has the objectives maximize val_mAP50, minimize train_time_s, not maximize val"
    ):
        studies.require_same(made.study, made.plan.metric, made.plan.space)
    studies.require_same(made.study, made.plan.goals.objectives, made.plan.space)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"pruner": "median"}, "--pruner median follows one metric, and several are named"),
        ({"direction": "maximize"}, "--direction is of one metric, and several are named"),
        ({"constraint": "speed<=3"}, "--constraint speed<=3: nothing measures 'speed'"),
    ],
)
def test_what_does_not_go_with_several_metrics_is_refused(tmp_path, flags, said):
    with pytest.raises(UsageError) as raised:
        plan(tmp_path, metric=TWO, **flags)
    assert raised.value.message == said


def test_several_metrics_choose_an_algorithm_and_no_pruner(tmp_path):
    made = plan(tmp_path, metric=TWO)
    assert (made.settings["algorithm"], made.settings["pruner"]) == ("tpe", "none")
    assert made.settings.origin("algorithm") == goals.ORIGIN
    assert plan(tmp_path, metric=TWO, algorithm="nsga2").settings["algorithm"] == "nsga2"
