"""What is done about a failed attempt: try again, change the config, give it up, or end the study.

Pure: everything it needs is in a `Diagnosis` and a `History`, so a driver that died is followed by one that
decides the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tao_automl.tao.failure import Diagnosis, FailureReason, Reaction

R = FailureReason
MAX_RETRIES = 8  # of one trial, for whatever reasons
SAME_CAUSE = 3  # so many trials that end alike, and none that ends well, say that no other will
RETRIES: Mapping[FailureReason, int] = {R.INTERRUPTED: 3, R.NETWORK: 5}  # of one trial for this reason
RETRIES_IN_PLACE, RETRIES_ELSEWHERE = 1, 2  # for a reason that is not listed
BACKOFF_S: Mapping[FailureReason, float] = {R.NETWORK: 10.0, R.GPU_BUSY: 30.0, R.DISK: 30.0}  # doubled each time

# Trial 0 runs the launched config: there these are no accident of the search.
_OF_THE_LAUNCH = frozenset(
    {R.BAD_SPEC, R.ARCHITECTURE, R.SHAPE, R.SELECTION, R.BATCH_TOO_LARGE, R.SHM, R.PRECISION},
)
# What did well in one trial may still be missing on the node of another.
_OF_A_NODE = frozenset(
    {R.MISSING_DATA, R.IMAGE_MISSING, R.REGISTRY_LOGIN, R.BROKEN_IMAGE, R.PERMISSION, R.TEXT_ENCODER}
)
# If another attempt does not help, no other trial will run either.
_OF_EVERY_TRIAL = _OF_A_NODE | {R.GPU_RUNTIME, R.DISK}
_OF_A_NODE_ALONE = frozenset({R.GPU_BUSY, R.BAD_GPU})  # the node is good, one of its GPUs is not
_BY_THE_USER = R.CANCELLED.value


class Action(str, Enum):
    """What to do with the trial. RETRY and CHANGE are a new attempt; the others tell it."""

    RETRY = "retry"
    CHANGE = "change"
    INFEASIBLE = "infeasible"
    ABORT = "abort"
    FAIL = "fail"


@dataclass(frozen=True)
class History:
    """What storage says of the trial that failed and of the others.

    `retries` counts the trial's earlier attempts by the reason of their end. `batch_size` is what its last
    attempt ran with, None if the model has no such key. `finished` has each finished trial's reason; None is
    one that ended well or was pruned.
    """

    trial: int
    retries: Mapping[str, int] = field(default_factory=dict)
    batch_size: int | None = None
    finished: Mapping[int, str | None] = field(default_factory=dict)

    @property
    def any_good(self) -> bool:
        """True if a trial of the study has ended well."""
        return None in self.finished.values()


@dataclass(frozen=True)
class Decision:
    """What to do, and `detail`, one sentence for people.

    `batch_size` is that of the next attempt, for CHANGE only. `avoid_gpus` and `avoid_node` are wishes: where
    there is no other place, the same one is taken. `quarantine`: the study uses these GPUs no more.
    """

    action: Action
    detail: str
    batch_size: int | None = None
    avoid_gpus: bool = False
    avoid_node: bool = False
    quarantine: bool = False
    backoff_s: float = 0.0

    @property
    def again(self) -> bool:
        """True if the trial goes on with a new attempt."""
        return self.action in (Action.RETRY, Action.CHANGE)


def decide(diagnosis: Diagnosis, history: History) -> Decision:
    """What to do about an attempt that failed.

    A trial has at most 1 + `MAX_RETRIES` attempts, however its attempts end. Its batch size is halved at most
    once. The study ends at a cause that every trial shares, at a launched config that cannot run, and when the
    first trials that end all end alike.
    """
    reaction = _reaction(diagnosis, history)
    if sum(history.retries.values()) < MAX_RETRIES:
        if reaction is Reaction.CHANGE and _can_halve(history):
            return _halve(history)
        if reaction in (Reaction.RETRY, Reaction.ELSEWHERE) and _tried(diagnosis, history) < _limit(
            diagnosis, reaction
        ):
            return _retry(diagnosis, history, reaction)
    why = _abort(diagnosis, history, reaction)
    if why:
        said = f": {diagnosis.line.rstrip('.')}" if diagnosis.line else ""
        detail = f"{why} {diagnosis.reason.value}{said}. {diagnosis.fix}"
        return Decision(Action.ABORT, detail, avoid_gpus=_is_faulty(diagnosis), quarantine=_is_faulty(diagnosis))
    if reaction in (Reaction.CHANGE, Reaction.INFEASIBLE):
        return Decision(Action.INFEASIBLE, _infeasible(diagnosis, history))
    return _fail(diagnosis, history)


def _reaction(diagnosis: Diagnosis, history: History) -> Reaction:
    """The table's reaction, in the light of what other trials did."""
    if diagnosis.reaction is not Reaction.ABORT or not history.any_good:
        return diagnosis.reaction
    if diagnosis.reason is R.NUM_CLASSES:  # the same for all, so it was this config's
        return Reaction.INFEASIBLE
    return Reaction.ELSEWHERE if diagnosis.reason in _OF_A_NODE else Reaction.ABORT


def _tried(diagnosis: Diagnosis, history: History) -> int:
    return history.retries.get(diagnosis.reason.value, 0)


def _limit(diagnosis: Diagnosis, reaction: Reaction) -> int:
    elsewhere = reaction is Reaction.ELSEWHERE and diagnosis.reason is not R.UNKNOWN
    return RETRIES.get(diagnosis.reason, RETRIES_ELSEWHERE if elsewhere else RETRIES_IN_PLACE)


def _can_halve(history: History) -> bool:
    return (history.batch_size or 0) > 1 and not history.retries.get(R.GPU_OOM.value)


def _halve(history: History) -> Decision:
    batch = history.batch_size or 0
    detail = f"{R.GPU_OOM.value}: tried again with batch size {batch // 2} instead of {batch}"
    return Decision(Action.CHANGE, detail, batch_size=batch // 2)


def _retry(diagnosis: Diagnosis, history: History, reaction: Reaction) -> Decision:
    tried, limit = _tried(diagnosis, history), _limit(diagnosis, reaction)
    elsewhere = reaction is Reaction.ELSEWHERE
    other_gpus = elsewhere and diagnosis.reason in _OF_A_NODE_ALONE
    where = " on another GPU" if other_gpus else " on another node if there is one" if elsewhere else ""
    backoff_s = BACKOFF_S.get(diagnosis.reason, 0.0) * 2**tried
    wait = f" in {backoff_s:g} s" if backoff_s else ""
    return Decision(
        Action.RETRY,
        f"{diagnosis.reason.value}: tried again{where}{wait} ({tried + 1} of {limit})",
        avoid_gpus=other_gpus,
        avoid_node=elsewhere and not other_gpus,
        quarantine=_is_faulty(diagnosis),
        backoff_s=backoff_s,
    )


def _abort(diagnosis: Diagnosis, history: History, reaction: Reaction) -> str | None:
    """Why the study must end, as the begin of a sentence; None if it may go on."""
    reason = diagnosis.reason
    if reaction is Reaction.ABORT or (reason in _OF_EVERY_TRIAL and reaction is not Reaction.INFEASIBLE):
        return "every trial would end with"
    if history.trial == 0 and reason in _OF_THE_LAUNCH and not history.any_good:
        return "trial 0 runs the launched config, and it ended with"
    ends = {number: word for number, word in history.finished.items() if word != _BY_THE_USER}
    ends[history.trial] = reason.value
    if len(ends) >= SAME_CAUSE and set(ends.values()) == {reason.value} and reason.value != _BY_THE_USER:
        return f"the first {len(ends)} trials all ended with"
    return None


def _infeasible(diagnosis: Diagnosis, history: History) -> str:
    if diagnosis.reason is R.GPU_OOM:
        if history.retries.get(R.GPU_OOM.value):
            return f"{R.GPU_OOM.value}: too large for this GPU, also with half its batch size"
        if history.batch_size == 1:
            return f"{R.GPU_OOM.value}: too large for this GPU, even with batch size 1"
    return f"{diagnosis.reason.value}: this config cannot run"


def _fail(diagnosis: Diagnosis, history: History) -> Decision:
    tried = sum(history.retries.values())
    often = f" after {tried + 1} attempts" if tried else ", and another attempt would not help"
    faulty = _is_faulty(diagnosis)
    detail = f"{diagnosis.reason.value}: given up{often}"
    return Decision(Action.FAIL, detail, avoid_gpus=faulty, quarantine=faulty)


def _is_faulty(diagnosis: Diagnosis) -> bool:
    return diagnosis.reason is R.BAD_GPU
