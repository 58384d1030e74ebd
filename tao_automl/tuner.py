"""The loop: one tick makes storage, cluster and files agree, and starts what there is room for.

Nothing here is remembered that storage and files do not say, so a driver that dies loses nothing: the next
one ticks. What must hold:

- `tell` is the commit point. An intent (to prune, to cancel) is stored before the job is stopped, so the
  exit code that follows is read as what it is.
- The job's state is read before its status file, because the last lines arrive with the exit.
- A job's id is derived from study, trial and attempt; submitting it again attaches to it.
- What is read for the first time after a restart is history: it is reported and never pruned.
- A container that a driver of this study has left, and no trial knows, is ended first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tao_automl import agenda, attempts, jobs, results
from tao_automl.attempts import Watched
from tao_automl.endings import Endings
from tao_automl.errors import PlatformError
from tao_automl.events import EventLog
from tao_automl.execution.cluster import Cluster, whole
from tao_automl.execution.job import JobStatus, Phase
from tao_automl.ledger import Ledger, attempt_of, is_parked
from tao_automl.plan import Plan
from tao_automl.scoring import Scoring
from tao_automl.search import attributes, stopping
from tao_automl.search.proposal import Proposal, Start
from tao_automl.search.study import FrozenTrial, Study
from tao_automl.segments import Segment
from tao_automl.session import CANCELLED, OVERDUE, PRUNED, SILENT, Session
from tao_automl.tao.status import Progress

TICK_S = 0.05
STOP_GRACE_S = 0.0  # a pruned trial's last state is of no use
REQUEST_EVERY_S = 1.0
RECONCILE_EVERY_S = 60.0  # a node that comes back may bring a container that nobody waits for any more


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `reason` is a phrase; `interrupted` means that `resume` has work left.

    `aborted`: trials fail for a cause that the next ones would have too.
    """

    reason: str
    interrupted: bool
    aborted: bool = False


class Tuner:
    """Drives one study. The caller holds the study's lock."""

    def __init__(
        self,
        plan: Plan,
        study: Study,
        cluster: Cluster,
        events: EventLog,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._plan, self._cluster, self._events = plan, cluster, events
        self._ledger = Ledger(study, plan.space, plan.schedule, self._propose)
        self._session = Session(plan, self._ledger, cluster, events, now)
        self._endings = Endings(self._session)
        self._scoring = Scoring(self._session, self._endings)
        self._reconciled_s = 0.0
        self._asked_at_s = 0.0

    def _propose(self, trials: Sequence[FrozenTrial]) -> Proposal | None:
        return agenda.propose(self._plan, trials, self._ledger.space, self._ledger.best())

    def drain(self, reason: str) -> None:
        """Start no more trials; the active ones finish."""
        self._session.drain(reason)

    def cancel(self, reason: str) -> None:
        """Start no more trials and stop the active ones; `resume` starts them again."""
        self._session.cancel(reason)

    @property
    def is_stopping(self) -> bool:
        """Somebody wants it to end."""
        return bool(self._session.draining)

    def run(self, sleep: Callable[[float], None] = time.sleep, at_end: Callable[[], None] = lambda: None) -> Outcome:
        """Tick until the budget is spent and no trial is active; `at_end` comes when the search is over for good."""
        self.adopt()
        while True:
            active = self.tick()
            why = self._session.draining or self._over()
            if why and not active:
                break
            sleep(TICK_S)
        spent = self._over()
        interrupted = not self._session.aborted and (spent is None or bool(self._ledger.running()))
        why = self._session.aborted or (why if interrupted else spent or why)
        with contextlib.suppress(PlatformError):  # what an engine that was away has kept
            self._reconcile()
        if not interrupted and not self._session.aborted:
            self._ledger.end(why)
            at_end()
        self._events.emit("study_finished", reason=why, **self._endings.best_fields())
        return Outcome(why, interrupted, bool(self._session.aborted))

    def adopt(self) -> None:
        """What an earlier driver left: its files are history, and what it parked gets a new attempt.

        A job that it had only meant to cancel may still run: that is stopped first, by the ticks.

        Raises:
            PlatformError: a node cannot say what runs there, so nothing may be started.
        """
        for trial in self._ledger.running():
            if is_parked(trial) and trial.user_attrs.get(attributes.SCORING):
                self._scoring.resume(trial)
            elif is_parked(trial):
                self._session.next_attempt(trial)
            self._session.watch(trial.number, history=True)
        self._reconcile()
        self._endings.publish()

    def tick(self) -> int:
        """One round. Returns how many trials are active after it."""
        self._read_request()
        if self._plan.settings["address"] and self._session.now_s - self._reconciled_s >= RECONCILE_EVERY_S:
            with contextlib.suppress(PlatformError):  # a node that cannot say now will be asked again
                self._reconcile()
        active = self._ledger.active()
        states = self._cluster.status([self._session.job_id(trial) for trial in active])
        for trial in active:
            self._settle(trial, states[self._session.job_id(trial)])
        while self._has_room():
            self._start()
        return len(self._ledger.active())

    def _reconcile(self) -> None:
        """End jobs that an earlier driver left: of trials that storage knows nothing of, or knows to be over, and the
        evaluation of a winner.
        """
        self._reconciled_s = self._session.now_s
        known = {self._session.job_id(trial) for trial in self._ledger.running()}
        for job_id, state in self._cluster.survey().items():
            identity = whole(job_id)
            if identity in known or not jobs.is_drivers(identity, self._plan.name):
                continue
            self._cluster.end(job_id)
            if state.phase is not Phase.EXITED:
                self._events.emit("orphan_stopped", job=job_id, node=state.node)

    def _has_room(self) -> bool:
        if self._session.draining or self._limit() or len(self._ledger.running()) >= self._plan.parallel:
            return False
        return self._cluster.free(self._ledger.avoid({})) > 0 and self._ledger.proposal() is not None

    def _limit(self) -> str | None:
        """Why no further trial may start, whatever the schedule would propose."""
        return stopping.exhausted(agenda.limits(self._plan), self._ledger.spent(self._session.now()))

    def _over(self) -> str | None:
        """Why no trial is started now: for good, if none is active."""
        limit = self._limit()
        if limit is None and self._ledger.proposal() is None:
            return agenda.over(self._plan, self._ledger.best())
        return limit

    def _read_request(self) -> None:
        """`tao-automl stop` leaves its wish in storage."""
        if self._session.now_s - self._asked_at_s < REQUEST_EVERY_S:
            return
        self._asked_at_s = self._session.now_s
        if (wish := self._ledger.wish()) == "drain":
            self.drain("stopped: active trials finish")
        elif wish == "now":
            self.cancel("stopped")

    def _start(self) -> None:
        for entry in self._ledger.widen():
            self._events.emit("range_widened", **entry)
        number, values = self._ledger.ask()
        self._session.watch(number)
        self._submit(number, 1, values)

    def _submit(self, number: int, attempt: int, values: dict[str, Any]) -> None:
        """Write the attempt's files, submit its job, then store what was submitted.

        Doing it again changes nothing: a driver that dies in between is followed by one that submits again.
        """
        paths = self._plan.paths.attempt(number, attempt)
        attached = paths.spec.exists()
        segment = self._segment(number, attached)
        known = self._ledger.trial(number).user_attrs
        job = jobs.trial_job(self._plan, number, attempt, segment)
        job = dataclasses.replace(job, avoid=self._ledger.avoid(known))
        if not attached:
            changed = known.get(attributes.CHANGED) or {}
            jobs.write_job(paths, job, jobs.trial_spec(self._plan, {**values, **changed}, paths, segment))
        self._cluster.submit(job)
        self._ledger.store(number, {attributes.ATTEMPT: attempt, attributes.VALUES: values})
        kind = "trial_attached" if attached else "trial_started"
        self._events.emit(kind, trial=number, attempt=attempt, params=values)

    def _segment(self, number: int, attached: bool) -> Segment:
        """What the trial's job starts from; what was reported of that is reported of the trial too.

        A checkpoint that is gone cannot be gone on from: the trial then starts from the beginning, and stores that.
        """
        trial = self._ledger.trial(number)
        segment = self._session.segment(trial)
        if (
            not attached
            and segment.start is not Start.FRESH
            and not (segment.checkpoint and segment.checkpoint.exists())
        ):
            self._ledger.store(number, {attributes.START: Start.FRESH.value})
            return self._session.segment(self._ledger.trial(number))
        self._ledger.report(trial, segment.before)
        self._ledger.store(number, self._inherited(trial))
        return segment

    def _inherited(self, trial: FrozenTrial) -> dict[str, Any]:
        """What had to be changed for the parent's config to run, its heirs change too."""
        parent = trial.user_attrs.get(attributes.PARENT)
        changed = self._ledger.trial(parent).user_attrs.get(attributes.CHANGED) if parent is not None else None
        own = trial.user_attrs.get(attributes.CHANGED)
        return {attributes.CHANGED: {**changed, **(own or {})}} if changed else {}

    def _settle(self, trial: FrozenTrial, state: JobStatus) -> None:
        """Bring one running trial up to date with its job."""
        if trial.user_attrs.get(attributes.SCORING):
            self._scoring.settle(trial, state)
            return
        if state.phase is Phase.UNKNOWN:
            self._resubmit(trial)
            return
        watched, segment = self._watched(trial), self._session.segment(trial)
        watched.read(self._session.paths(trial), self._session.now_s)
        if state.phase is Phase.EXITED:
            watched.close(self._plan, self._session.paths(trial), segment.epochs)
        fresh = self._report(trial, watched.progress, segment)
        if state.phase is Phase.EXITED:
            self._endings.finish(trial, state, watched.progress)
            return
        self._note(trial, state, watched)
        self._trim(trial, watched.progress)
        intent = trial.user_attrs.get(attributes.INTENT) or self._stop_wanted(trial, state, watched)
        may_prune = intent is None and fresh and not watched.history
        if may_prune and self._ledger.should_prune(trial.number):
            intent = self._intend(trial, PRUNED)
        watched.history = False
        if intent and not watched.cancelled:
            watched.cancelled = True
            self._cluster.cancel(self._session.job_id(trial), STOP_GRACE_S)

    def _watched(self, trial: FrozenTrial) -> Watched:
        if trial.number not in self._session.watched:
            self._session.watch(trial.number, history=True)
        return self._session.watched[trial.number]

    def _resubmit(self, trial: FrozenTrial) -> None:
        """A job that this driver has not submitted: it attaches, or starts it."""
        too_early = self._session.now_s < (trial.user_attrs.get(attributes.NOT_BEFORE_S) or 0.0)
        if (
            too_early or self._cluster.free(self._ledger.avoid(trial.user_attrs)) <= 0
        ):  # more were active than now may be
            return
        values = self._ledger.config(trial.number)
        self._submit(trial.number, attempt_of(trial), values)

    def _note(self, trial: FrozenTrial, state: JobStatus, watched: Watched) -> None:
        """Where it runs, and what it waits for: while it waits, its silence means nothing."""
        if state.phase is Phase.RUNNING and state.node and trial.user_attrs.get(attributes.NODE) is None:
            gpus = {attributes.GPUS: list(state.gpus)} if state.gpus else {}
            self._ledger.store(trial.number, {attributes.NODE: state.node, **gpus})
        if state.waits or state.phase is Phase.PENDING:
            watched.heard_s = self._session.now_s
        if state.waits and watched.waits is None:
            self._events.emit("trial_waiting", trial=trial.number, detail=state.waits)
        watched.waits = state.waits

    def _stop_wanted(self, trial: FrozenTrial, state: JobStatus, watched: Watched) -> str | None:
        """The intent to stop a job for another cause than its values."""
        settings, now_s = self._plan.settings, self._session.now_s
        limit_s = settings["trial_timeout"]
        if self._session.cancelling:
            return self._intend(trial, CANCELLED)
        if limit_s is not None and state.started_at_s is not None and now_s - state.started_at_s > limit_s:
            return self._intend(trial, OVERDUE)
        if watched.is_silent(now_s, settings["hang_timeout"]):
            return self._intend(trial, SILENT)
        return None

    def _intend(self, trial: FrozenTrial, intent: str) -> str:
        """Stored before the job is stopped, so that its exit code is not taken for a failure."""
        self._ledger.store(trial.number, {attributes.INTENT: intent})
        self._events.emit("trial_stopping", trial=trial.number, intent=intent)
        return intent

    def _report(self, trial: FrozenTrial, progress: Progress, segment: Segment) -> bool:
        """Report new epochs. True if there was one."""
        new = self._ledger.report(trial, segment.whole(attempts.points(self._plan, progress)))
        same = {"trial": trial.number, "epochs": segment.end, "metric": self._plan.metric.name}
        for epoch, value in sorted(new.items()):
            self._events.emit("epoch", epoch=epoch, value=value, **same)
        return bool(new)

    def _trim(self, trial: FrozenTrial, progress: Progress) -> None:
        if self._plan.settings["keep_checkpoints"] != "all":
            results.trim(*self._session.checkpoints(trial), attempts.points(self._plan, progress), self._plan.metric)
