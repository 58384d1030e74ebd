"""The default sampler: what it makes of trials that are no plain values."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from tao_automl.search import algorithms, attributes
from tao_automl.search.space import SearchSpace
from tests.contracts.sampler_contract import contract_space

LR = "lr"


def asked(study: optuna.Study, space: SearchSpace, seed: int = -3, name: str = "bayesian") -> optuna.Trial:
    study.sampler = algorithms.sampler(name, space, seed, len(study.trials))
    trial = study.ask()
    space.suggest(trial)
    return trial


def started(space: SearchSpace) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(space.centre())
    return study


def out_of_memory(trial: optuna.Trial) -> None:
    trial.set_user_attr(attributes.INFEASIBLE, True)
    trial.set_user_attr(attributes.REASON, "gpu_oom")


def run(space: SearchSpace, needs: Callable[[Mapping[str, Any]], bool], trials: int) -> tuple[optuna.Study, list[int]]:
    """A study with a hidden memory limit whose best configs lie just below it; the numbers of those that failed."""
    study, failed = started(space), []
    for number in range(trials):
        trial = asked(study, space)
        values = space.decode(trial.params)
        if needs(values):
            out_of_memory(trial)
            study.tell(trial, state=TrialState.PRUNED)
            failed.append(number)
        else:
            study.tell(trial, math.log2(values["batch_size"]) + values["num_queries"] / 300)
    return study, failed


def test_what_needs_more_memory_than_a_failed_config_is_not_tried():
    space = contract_space("batch_size", "num_queries", LR)
    study, failed = run(space, lambda values: values["batch_size"] * values["num_queries"] > 5000, trials=22)
    sizes = [(space.decode(t.params)["batch_size"], space.decode(t.params)["num_queries"]) for t in study.trials]
    for number in failed:
        batch, queries = sizes[number]
        assert not [later for later in sizes[number + 1 :] if later[0] >= batch and later[1] >= queries]
    assert len(failed) <= 4


def test_a_config_without_room_to_choose_from_is_still_proposed():
    space = contract_space("batch_size")
    study = started(space)
    for _ in range(8):
        trial = asked(study, space)
        out_of_memory(trial)
        study.tell(trial, state=TrialState.PRUNED)
    assert all(trial.params for trial in study.trials)


def test_what_really_ran_is_what_is_learned():
    """Trials that were proposed with a large batch ran with a small one: nothing is known of the large ones."""
    space = contract_space("batch_size", LR)
    study = started(space)
    first = asked(study, space)
    first.set_user_attr(attributes.CHANGED, {"batch_size": 4})
    study.tell(first, 1.0)
    for _ in range(6):
        trial = asked(study, space)
        study.tell(trial, 0.5)
    assert all(space.decode(trial.params)["batch_size"] < 8 for trial in study.trials[1:])


def test_a_cliff_is_left_alone():
    space = contract_space(LR, "momentum")
    study = started(space)
    for _ in range(20):
        trial = asked(study, space)
        rate = space.decode(trial.params)[LR]
        if rate > 1.5e-3:
            trial.set_user_attr(attributes.REASON, "diverged")
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, -abs(math.log10(rate) + 3))
    rates = [space.decode(trial.params)[LR] for trial in study.trials]
    assert sum(rate > 1.5e-3 for rate in rates[10:]) <= 2


def test_a_failure_that_says_nothing_of_the_config_is_no_result():
    space = contract_space(LR, "momentum")
    with_failures, without = started(space), started(space)
    for study in (with_failures, without):
        for number in range(6):
            trial = asked(study, space)
            study.tell(trial, trial.params[LR], state=TrialState.COMPLETE)
            assert number == trial.number
    failed = asked(with_failures, space)
    with_failures.tell(failed, state=TrialState.FAIL)
    assert asked(without, space).params == failed.params


def test_a_pruned_trial_is_no_winner():
    """Its value at an early epoch may look better than what others ended at."""
    space = contract_space(LR)
    study = started(space)
    for number in range(5):
        trial = asked(study, space)
        early = 0.9 if trial.params[LR] > 1.2e-3 else 0.95
        trial.report(early, 0)
        if trial.params[LR] > 1.2e-3:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, 0.5 + number / 100)
    low = [asked(study, space).params[LR] for _ in range(3)]
    assert sum(rate < 1.2e-3 for rate in low) >= 2


def test_earlier_studies_show_the_way():
    space = contract_space(LR, "momentum")
    best = 2e-4
    known = [best * 10 ** (0.08 * step) for step in range(-8, 9)]
    ranked = sorted(known, key=lambda rate: abs(math.log(rate / best)))
    entries = [{"params": {LR: rate}, "quantile": place / 16, "source": "other/1"} for place, rate in enumerate(ranked)]
    away = []
    for warm in ([], entries):
        study = started(space)
        study.set_user_attr(attributes.WARM, warm)
        for _ in range(4):
            trial = asked(study, space)
            study.tell(trial, -abs(math.log(trial.params[LR] / best)))
        away.append(min(abs(math.log(trial.params[LR] / best)) for trial in study.trials))
    assert away[1] < away[0]


def test_it_works_with_nothing_but_optunas_distributions():
    space = SearchSpace(())
    study = optuna.create_study()
    for number in range(15):
        study.sampler = algorithms.sampler("bayesian", space, 0, number)
        trial = study.ask()
        x, kind = trial.suggest_float("x", -5, 5), trial.suggest_categorical("kind", ["a", "b"])
        y = trial.suggest_int("y", 1, 64, log=True) if kind == "a" else 1
        study.tell(trial, (x - 2) ** 2 + (kind == "b") + math.log(y))
    assert study.best_value < 1.0


def test_ranges_that_change_from_trial_to_trial_are_kept():
    study = optuna.create_study()
    for number in range(10):
        study.sampler = algorithms.sampler("bayesian", SearchSpace(()), 0, number)
        trial = study.ask()
        high = trial.suggest_int("high", 2, 10)
        below = trial.suggest_int("below", 0, high - 1, step=1)
        assert 0 <= below < high
        study.tell(trial, below)


def test_several_objectives_are_refused():
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.sampler = algorithms.sampler("bayesian", contract_space(LR), 0, 0)
    with pytest.raises(ValueError, match="one objective"):
        study.ask().suggest_float(LR, 1e-5, 1e-2, log=True)


def test_many_trials_are_thinned_out():
    space = contract_space(LR, "momentum")
    study = started(space)
    known = {p.name: p.domain().distribution() for p in space.parameters}
    assert isinstance(known[LR], FloatDistribution)
    for step in range(400):
        params = {
            name: d.low + (d.high - d.low) * ((step * 37 + 11 * i) % 400) / 400
            for i, (name, d) in enumerate(known.items())
        }
        study.add_trial(create_trial(params=params, distributions=known, value=params[LR]))
    assert asked(study, space).params


@pytest.mark.parametrize("module", ["tao_automl.search.samplers.bayesian", "tao_automl.cli", "tao_automl.search.study"])
def test_scipy_is_imported_when_a_config_is_asked_for(module: str):
    code = f"import sys, {module}; print('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
