"""What is done about a failed attempt."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_automl import recovery
from tao_automl.recovery import Action, Decision, History, decide
from tao_automl.tao import failure
from tao_automl.tao.causes import TABLE, WITHOUT_TEXT
from tao_automl.tao.failure import Diagnosis, FailureReason, Reaction

R, X, A = FailureReason, Reaction, Action
GOOD = {1: None, 2: "gpu_oom"}
CAUSES = st.sampled_from([*TABLE, *WITHOUT_TEXT.values()]).map(
    lambda row: Diagnosis(row.reason, "a line", row.fix, row.reaction)
)


def found(reason: FailureReason, reaction: Reaction | None = None) -> Diagnosis:
    """The diagnosis of the first row for a reason (with this reaction)."""
    if reaction is None:
        return failure.diagnosis(reason, "a line")
    row = next(row for row in TABLE if (row.reason, row.reaction) == (reason, reaction))
    return Diagnosis(reason, "a line", row.fix, reaction)


@pytest.mark.parametrize(
    ("reason", "retries"),
    [
        (R.UNKNOWN, 1),
        (R.NCCL, 1),
        (R.PORT, 1),
        (R.HOST_OOM, 1),
        (R.HANG, 1),
        (R.DISK, 1),
        (R.INTERRUPTED, 3),
        (R.LOST, 2),
        (R.BAD_GPU, 2),
        (R.GPU_BUSY, 2),
        (R.GPU_RUNTIME, 2),
        (R.NETWORK, 5),
        (R.TIMEOUT, 0),
        (R.NO_METRIC, 0),
        (R.CANCELLED, 0),
        (R.DIVERGED, 0),
        (R.NUM_CLASSES, 0),
        (R.BAD_SPEC, 0),
    ],
)
def test_each_cause_has_its_number_of_retries(reason: FailureReason, retries: int) -> None:
    diagnosis = found(reason, X.ELSEWHERE if reason is R.GPU_RUNTIME else None)
    actions = [decide(diagnosis, History(5, {reason.value: tried}, 8, GOOD)).action for tried in range(retries + 1)]
    assert actions[:-1] == [A.RETRY] * retries
    assert actions[-1] is not A.RETRY


def test_out_of_memory_halves_the_batch_once() -> None:
    first = decide(found(R.GPU_OOM), History(5, batch_size=9))
    assert (first.action, first.batch_size, first.again) == (A.CHANGE, 4, True)
    assert first.detail == "gpu_oom: tried again with batch size 4 instead of 9"
    again = decide(found(R.GPU_OOM), History(5, {"gpu_oom": 1}, 4))
    assert again.action is A.INFEASIBLE
    assert "half its batch size" in again.detail
    for batch_size in (1, None):
        assert decide(found(R.GPU_OOM), History(5, batch_size=batch_size)).action is A.INFEASIBLE


def test_a_broken_gpu_is_left_to_others_for_good_and_a_busy_one_only_now() -> None:
    broken, busy = (decide(found(reason), History(5)) for reason in (R.BAD_GPU, R.GPU_BUSY))
    assert (broken.avoid_gpus, broken.avoid_node, broken.quarantine) == (True, False, True)
    assert (busy.avoid_gpus, busy.avoid_node, busy.quarantine) == (True, False, False)
    assert decide(found(R.BAD_GPU), History(5, {"bad_gpu": 2})).quarantine
    assert decide(found(R.LOST), History(5)).avoid_node


def test_the_network_is_given_twice_the_time_with_each_retry() -> None:
    waits = [decide(found(R.NETWORK), History(5, {"network": tried})).backoff_s for tried in range(5)]
    assert waits == [10, 20, 40, 80, 160]


@pytest.mark.parametrize(
    ("reason", "reaction"),
    [
        (R.MISSING_DATA, X.ABORT),
        (R.NUM_CLASSES, None),
        (R.REGISTRY_LOGIN, None),
        (R.IMAGE_MISSING, X.ABORT),
        (R.NOT_UNPACKED, None),
        (R.STORAGE, None),
        (R.BROKEN_IMAGE, None),
    ],
)
def test_what_every_trial_shares_ends_the_study_at_once(reason, reaction) -> None:
    decision = decide(found(reason, reaction), History(4))
    assert decision.action is A.ABORT
    assert decision.detail.startswith(f"every trial would end with {reason.value}: a line. ")
    assert decision.detail.endswith(found(reason, reaction).fix)


@pytest.mark.parametrize("reason", [R.BAD_SPEC, R.ARCHITECTURE, R.SHAPE, R.SELECTION, R.BATCH_TOO_LARGE, R.SHM])
def test_a_config_that_cannot_run_ends_the_study_only_if_it_is_the_launched_one(reason: FailureReason) -> None:
    launched = decide(found(reason), History(0))
    assert launched.action is A.ABORT
    assert launched.detail.startswith(f"trial 0 runs the launched config, and it ended with {reason.value}")
    assert decide(found(reason), History(1)).action is A.INFEASIBLE
    assert decide(found(reason), History(0, finished=GOOD)).action is A.INFEASIBLE


def test_after_a_success_a_missing_file_is_first_taken_for_the_node_s_fault() -> None:
    there = decide(found(R.MISSING_DATA, X.ABORT), History(5, finished=GOOD))
    assert (there.action, there.avoid_node) == (A.RETRY, True)
    twice = History(5, {"missing_data": 2}, finished=GOOD)
    assert decide(found(R.MISSING_DATA, X.ABORT), twice).action is A.ABORT
    assert decide(found(R.MISSING_DATA, X.ELSEWHERE), twice).action is A.ABORT


def test_after_a_success_the_class_count_is_right_and_this_config_is_not() -> None:
    assert decide(found(R.NUM_CLASSES), History(5, finished=GOOD)).action is A.INFEASIBLE


def test_the_same_cause_in_the_first_three_trials_ends_the_study() -> None:
    decision = decide(found(R.DIVERGED), History(2, finished={0: "diverged", 1: "diverged"}))
    assert decision.action is A.ABORT
    assert decision.detail.startswith("the first 3 trials all ended with diverged: a line. Training diverged: lower")
    for others in (
        {0: "diverged"},
        {0: "diverged", 1: "nccl"},
        {0: "diverged", 1: None},
        {0: "diverged", 1: "cancelled"},
    ):
        assert decide(found(R.DIVERGED), History(2, finished=others)).action is A.INFEASIBLE
    tried = History(2, {"nccl": 1}, finished={0: "nccl", 1: "nccl"})
    assert decide(found(R.NCCL), tried).action is A.ABORT
    assert decide(found(R.NCCL), History(2, finished=tried.finished)).action is A.RETRY


def test_what_is_given_up_says_after_how_many_attempts() -> None:
    decision = decide(found(R.UNKNOWN), History(5, {"nccl": 1, "unknown": 1}, finished=GOOD))
    assert decision == Decision(A.FAIL, "unknown: given up after 3 attempts")
    assert decide(found(R.TIMEOUT), History(5)).detail == "timeout: given up, and another attempt would not help"


def test_an_unknown_word_of_an_engine_is_tried_once_on_another_node() -> None:
    diagnosis = failure.classify("", (), None, error="what is this")
    first = decide(diagnosis, History(5))
    assert (first.action, first.avoid_node) == (A.RETRY, True)
    assert decide(diagnosis, History(5, {"unknown": 1})).action is A.FAIL


@settings(max_examples=200, deadline=None)
@given(
    st.lists(CAUSES, min_size=recovery.MAX_RETRIES + 1, max_size=recovery.MAX_RETRIES + 1),
    st.integers(0, 9),
    st.integers(1, 64) | st.none(),
    st.dictionaries(st.integers(10, 20), st.sampled_from([None, *(reason.value for reason in R)]), max_size=5),
)
def test_a_trial_ends_however_its_attempts_end(causes, number, batch, others) -> None:
    retries: Counter[str] = Counter()
    ran = batch
    for diagnosis in causes:
        decision = decide(diagnosis, History(number, dict(retries), ran, others))
        assert (decision.batch_size is None) == (decision.action is not A.CHANGE)
        assert "\n" not in decision.detail
        if not decision.again:
            break
        retries[diagnosis.reason.value] += 1
        ran = decision.batch_size or ran
    assert not decision.again
    assert sum(retries.values()) <= recovery.MAX_RETRIES
    assert retries["gpu_oom"] <= 1
    if batch is not None:
        assert ran in (batch, batch // 2)
    if None in others.values() and decision.action is A.ABORT:
        assert decision.detail.startswith("every trial would end with")
