from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from tao_automl.search.attributes import BEST_VALUE, INFEASIBLE, REASON
from tao_automl.search.stopping import Best, Budget, Spent, exhausted, past, spent

NOON = datetime(2026, 1, 1, 12)


def trial(number: int, state: TrialState, start_s: float = 0, end_s: float | None = None, reason=None) -> FrozenTrial:
    made = create_trial(
        state=state,
        value=1.0 if state == TrialState.COMPLETE else None,
        user_attrs={REASON: reason} if reason else {},
    )
    made.number = number
    made.datetime_start = None if state == TrialState.WAITING else NOON + timedelta(seconds=start_s)
    made.datetime_complete = None if end_s is None else NOON + timedelta(seconds=end_s)
    return made


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_trials_side_by_side_are_counted_once():
    trials = [trial(0, TrialState.COMPLETE, 0, 100), trial(1, TrialState.PRUNED, 50, 150)]
    assert spent(trials, after(500)) == Spent(finished=2, running=0, time_s=150, failures_in_a_row=0)


def test_a_pause_costs_nothing_and_a_running_trial_counts_until_now():
    trials = [
        trial(0, TrialState.COMPLETE, 0, 100),
        trial(1, TrialState.RUNNING, 1000),
        trial(2, TrialState.WAITING),
    ]
    assert spent(trials, after(1030)) == Spent(finished=1, running=1, time_s=130, failures_in_a_row=0)


def test_failures_count_from_the_last_end_not_from_the_last_number():
    trials = [
        trial(0, TrialState.FAIL, 0, 300),
        trial(1, TrialState.COMPLETE, 0, 100),
        trial(2, TrialState.FAIL, 100, 200),
    ]
    assert spent(trials, after(400)).failures_in_a_row == 2


def test_a_pruned_trial_is_no_failure_and_what_the_user_stopped_says_nothing():
    assert spent([trial(0, TrialState.FAIL, 0, 1), trial(1, TrialState.PRUNED, 1, 2)], after(3)).failures_in_a_row == 0
    stopped = [trial(0, TrialState.FAIL, 0, 1), trial(1, TrialState.FAIL, 1, 2, reason="cancelled")]
    assert spent(stopped, after(3)).failures_in_a_row == 1


def test_a_config_that_cannot_run_neither_counts_as_a_failure_nor_ends_a_row_of_them():
    infeasible = trial(1, TrialState.PRUNED, 1, 2)
    infeasible.set_user_attr(INFEASIBLE, True)
    assert spent([infeasible], after(3)).failures_in_a_row == 0
    row = [trial(0, TrialState.FAIL, 0, 1), infeasible, trial(2, TrialState.FAIL, 2, 3)]
    assert spent(row, after(4)) == Spent(finished=3, running=0, time_s=3, failures_in_a_row=2)


@pytest.mark.parametrize(
    ("budget", "used", "reason"),
    [
        (Budget(), Spent(99, 9, 1e9, 99), None),
        (Budget(trials=3), Spent(2, 0, 0, 0), None),
        (Budget(trials=3), Spent(2, 1, 0, 0), "the budget of 3 trials is used"),
        (Budget(trials=1), Spent(1, 0, 0, 0), "the budget of 1 trial is used"),
        (Budget(time_s=5400), Spent(0, 1, 5399, 0), None),
        (Budget(time_s=5400), Spent(0, 1, 5400, 0), "the budget of 1 h 30 min is used"),
        (Budget(max_failures=3), Spent(3, 0, 0, 2), None),
        (Budget(max_failures=3), Spent(3, 0, 0, 3), "3 trials failed in a row"),
        (Budget(target=0.5), Spent(3, 0, 0, 0), None),
        (Budget(target=0.5), Spent(3, 0, 0, 0, Best(0.49, 1)), None),
        (Budget(target=0.5), Spent(3, 0, 0, 0, Best(0.5, 1)), "the target of 0.5 is reached: trial 1 has 0.5"),
        (
            Budget(target=2, maximize=False),
            Spent(1, 0, 0, 0, Best(1.5, 0)),
            "the target of 2 is reached by trial 0, the launched config itself, with 1.5",
        ),
        (
            Budget(trials=3, target=0.5),
            Spent(3, 0, 0, 0, Best(0.6, 2)),
            "the target of 0.5 is reached: trial 2 has 0.6",
        ),
        (Budget(plateau=2), Spent(9, 0, 0, 0), None),
        (Budget(plateau=2), Spent(9, 0, 0, 0, Best(0.5, 4, 1)), None),
        (
            Budget(plateau=2),
            Spent(9, 0, 0, 0, Best(0.5, 4, 2)),
            "the plateau of 2 trials is reached: none is better than trial 4",
        ),
    ],
)
def test_a_budget_ends_with_its_reason(budget, used, reason):
    assert exhausted(budget, used) == reason


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=8))
def test_time_is_never_more_than_the_span_nor_less_than_the_longest_trial(spans):
    ends = [(min(pair), max(pair)) for pair in spans]
    trials = [trial(i, TrialState.COMPLETE, *pair) for i, pair in enumerate(ends)]
    time_s = spent(trials, after(2000)).time_s
    covered = {second for low, high in ends for second in range(low, high)}
    assert time_s == len(covered)


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=8),
    st.lists(st.integers(0, 1000), max_size=4),
)
def test_what_is_known_of_finished_trials_need_not_be_summed_again(spans, starts):
    done = [trial(i, TrialState.COMPLETE, min(pair), max(pair)) for i, pair in enumerate(spans)]
    running = [trial(len(done) + i, TrialState.RUNNING, start) for i, start in enumerate(starts)]
    assert spent(running, after(1500), past(done)) == spent(done + running, after(1500))
    seconds = {second for pair in spans for second in range(min(pair), max(pair))}
    seconds |= {second for start in starts for second in range(start, 1500)}
    assert spent(running, after(1500), past(done)).time_s == len(seconds)


def valued(number: int, value: float | None, state: TrialState = TrialState.COMPLETE, end_s: float | None = None):
    made = trial(number, state, 0, number if end_s is None else end_s)
    if value is not None:
        made.set_user_attr(BEST_VALUE, value)
    return made


def test_a_plateau_counts_in_the_order_in_which_trials_end():
    trials = [valued(0, 0.3), valued(1, 0.5, end_s=9), valued(2, 0.2), valued(3, 0.5, end_s=10)]
    assert past(trials).best == Best(0.5, 1, 1)
    assert past(trials, maximize=False).best == Best(0.2, 2, 2)


def test_what_failed_is_neither_better_nor_worse():
    could_not_run = valued(3, None, TrialState.PRUNED)
    could_not_run.set_user_attr(INFEASIBLE, True)
    trials = [valued(0, 0.3), valued(1, 0.9, TrialState.FAIL), valued(2, 0.1, TrialState.PRUNED), could_not_run]
    assert past(trials).best == Best(0.3, 0, 1)
    assert past(trials[1:2]).best is None


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.booleans())
def test_the_best_is_the_first_of_the_best_values(values, maximize):
    best = past([valued(number, value) for number, value in enumerate(values)], maximize=maximize).best
    found = values.index(max(values) if maximize else min(values))
    assert best == Best(values[found], found, len(values) - 1 - found)
