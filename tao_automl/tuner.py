"""The loop: one tick makes storage, cluster and files agree, and starts what there is room for.

Nothing here is remembered that storage and files do not say, so a driver that dies loses nothing: the next
one ticks. What must hold:

- `tell` is the commit point. An intent (to prune, to cancel) is stored before the job is stopped, so the
  exit code that follows is read as what it is.
- The job's state is read before its status file, because the last lines arrive with the exit.
- A job's id is derived from study, trial and attempt; submitting it again attaches to it.
- What is read for the first time after a restart is history: it is reported and never pruned.
- A container of this study that no trial knows is ended first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tao_automl import attempts, jobs, recovery, results
from tao_automl.attempts import Watched
from tao_automl.errors import PlatformError
from tao_automl.events import EventLog
from tao_automl.execution.cluster import Cluster, whole
from tao_automl.execution.job import JobStatus, Phase
from tao_automl.layout import AttemptPaths
from tao_automl.ledger import Ledger, attempt_of, is_parked
from tao_automl.plan import Plan
from tao_automl.recovery import Action, Decision
from tao_automl.search import attributes, stopping
from tao_automl.search.stopping import Budget
from tao_automl.search.study import FrozenTrial, Study, TrialState
from tao_automl.tao import failure
from tao_automl.tao.facts import CheckpointNames
from tao_automl.tao.failure import Diagnosis, FailureReason
from tao_automl.tao.status import Progress

TICK_S = 0.05
STOP_GRACE_S = 0.0  # a pruned trial's last state is of no use
REQUEST_EVERY_S = 1.0
RECONCILE_EVERY_S = 60.0  # a node that comes back may bring a container that nobody waits for any more
PRUNED, CANCELLED, SILENT, OVERDUE = "pruned", "cancelled", "silent", "overdue"  # intents


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
        self._plan = plan
        self._ledger = Ledger(study, plan.space)
        self._cluster = cluster
        self._events = events
        self._now = now
        self._watched: dict[int, Watched] = {}
        self._draining = ""  # why no more trials are started
        self._cancelling = False
        self._aborted = ""
        self._reconciled_s = 0.0
        self._asked_at_s = 0.0

    @property
    def budget(self) -> Budget:
        settings = self._plan.settings
        return Budget(
            self._plan.trials,
            settings["time"],
            settings["max_failures"],
            settings["target"],
            settings["plateau"],
            self._plan.metric.maximizes,
        )

    def drain(self, reason: str) -> None:
        """Start no more trials; the active ones finish."""
        self._draining = self._draining or reason

    def cancel(self, reason: str) -> None:
        """Start no more trials and stop the active ones; `resume` starts them again."""
        self.drain(reason)
        self._cancelling = True

    def abort(self, reason: str) -> None:
        """As `cancel`, because what remains would fail as the last trials did."""
        self._ledger.abort(reason)
        self._aborted = reason
        self.cancel(reason)

    def run(self, sleep: Callable[[float], None] = time.sleep) -> Outcome:
        """Tick until the budget is spent and no trial is active."""
        self.adopt()
        while True:
            active = self.tick()
            why = self._draining or stopping.exhausted(self.budget, self._ledger.spent(self._now()))
            if why and not active:
                break
            sleep(TICK_S)
        spent = stopping.exhausted(self.budget, self._ledger.spent(self._now()))
        interrupted = not self._aborted and (spent is None or bool(self._ledger.running()))
        why = self._aborted or (why if interrupted else spent or why)
        with contextlib.suppress(PlatformError):  # what an engine that was away has kept
            self._reconcile()
        if not interrupted and not self._aborted:
            self._ledger.end(why)
        self._events.emit("study_finished", reason=why, **self._best_fields())
        return Outcome(why, interrupted, bool(self._aborted))

    def adopt(self) -> None:
        """What an earlier driver left: its files are history, and what it parked gets a new attempt.

        A job that it had only meant to cancel may still run: that is stopped first, by the ticks.

        Raises:
            PlatformError: a node cannot say what runs there, so nothing may be started.
        """
        for trial in self._ledger.running():
            if is_parked(trial):
                self._next_attempt(trial)
            self._watched[trial.number] = Watched(self._now_s, history=True)
        self._reconcile()
        self._publish()

    def tick(self) -> int:
        """One round. Returns how many trials are active after it."""
        self._read_request()
        if self._plan.settings["address"] and self._now_s - self._reconciled_s >= RECONCILE_EVERY_S:
            with contextlib.suppress(PlatformError):  # a node that cannot say now will be asked again
                self._reconcile()
        active = self._ledger.active()
        states = self._cluster.status([self._job_id(trial) for trial in active])
        for trial in active:
            self._settle(trial, states[self._job_id(trial)])
        while self._has_room():
            self._start()
        return len(self._ledger.active())

    @property
    def _now_s(self) -> float:
        return self._now().timestamp()

    def _reconcile(self) -> None:
        """End the jobs of trials that storage knows nothing of, or knows to be over."""
        self._reconciled_s = self._now_s
        known = {self._job_id(trial) for trial in self._ledger.running()}
        for job_id, state in self._cluster.survey().items():
            trial_job = whole(job_id)
            if trial_job in known or not jobs.is_trial_job(trial_job, self._plan.name):
                continue
            self._cluster.end(job_id)
            if state.phase is not Phase.EXITED:
                self._events.emit("orphan_stopped", job=job_id, node=state.node)

    def _has_room(self) -> bool:
        spent, running = self._ledger.spent(self._now()), len(self._ledger.running())
        if self._draining or stopping.exhausted(self.budget, spent):
            return False
        wanted = spent.finished + running < self._plan.trials and running < self._plan.parallel
        return wanted and self._cluster.free(self._ledger.avoid({})) > 0

    def _read_request(self) -> None:
        """`tao-automl stop` leaves its wish in storage."""
        if self._now_s - self._asked_at_s < REQUEST_EVERY_S:
            return
        self._asked_at_s = self._now_s
        if (wish := self._ledger.wish()) == "drain":
            self.drain("stopped: active trials finish")
        elif wish == "now":
            self.cancel("stopped")

    def _job_id(self, trial: FrozenTrial) -> str:
        return jobs.job_id(self._plan.name, trial.number, attempt_of(trial))

    def _paths(self, trial: FrozenTrial) -> AttemptPaths:
        return self._plan.paths.attempt(trial.number, attempt_of(trial))

    def _start(self) -> None:
        number, values = self._ledger.ask()
        self._watched[number] = Watched(self._now_s)
        self._submit(number, 1, values, {})

    def _submit(self, number: int, attempt: int, values: dict[str, Any], known: Mapping[str, Any]) -> None:
        """Write the attempt's files, submit its job, then store what was submitted.

        Doing it again changes nothing: a driver that dies in between is followed by one that submits again.
        """
        paths = self._plan.paths.attempt(number, attempt)
        job = dataclasses.replace(jobs.trial_job(self._plan, number, attempt), avoid=self._ledger.avoid(known))
        attached = paths.spec.exists()
        if not attached:
            changed = known.get(attributes.CHANGED) or {}
            jobs.write_job(paths, job, jobs.trial_spec(self._plan, {**values, **changed}, paths))
        self._cluster.submit(job)
        self._ledger.store(number, {attributes.ATTEMPT: attempt, attributes.VALUES: values})
        kind = "trial_attached" if attached else "trial_started"
        self._events.emit(kind, trial=number, attempt=attempt, params=values)

    def _next_attempt(self, trial: FrozenTrial, found: Mapping[str, Any] | None = None) -> None:
        """A fresh folder for it: TAO resumes from whatever it finds in one."""
        attempt = attempt_of(trial) + 1
        cleared = dict.fromkeys((attributes.INTENT, attributes.PARKED_S, attributes.NODE, attributes.GPUS))
        known = {key: None for key in cleared if trial.user_attrs.get(key) is not None}
        self._ledger.store(trial.number, {**known, **(found or {}), attributes.ATTEMPT: attempt})
        self._watched[trial.number] = Watched(self._now_s)

    def _settle(self, trial: FrozenTrial, state: JobStatus) -> None:
        """Bring one running trial up to date with its job."""
        if state.phase is Phase.UNKNOWN:
            self._resubmit(trial)
            return
        watched = self._watched.setdefault(trial.number, Watched(self._now_s, history=True))
        watched.read(self._paths(trial), self._now_s)
        if state.phase is Phase.EXITED:
            watched.close(self._plan, self._paths(trial))
        fresh = self._report(trial, watched.progress)
        if state.phase is Phase.EXITED:
            self._finish(trial, state, watched.progress)
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
            self._cluster.cancel(self._job_id(trial), STOP_GRACE_S)

    def _resubmit(self, trial: FrozenTrial) -> None:
        """A job that this driver has not submitted: it attaches, or starts it."""
        too_early = self._now_s < (trial.user_attrs.get(attributes.NOT_BEFORE_S) or 0.0)
        if (
            too_early or self._cluster.free(self._ledger.avoid(trial.user_attrs)) <= 0
        ):  # more were active than now may be
            return
        values = self._ledger.config(trial.number)
        self._submit(trial.number, attempt_of(trial), values, trial.user_attrs)

    def _note(self, trial: FrozenTrial, state: JobStatus, watched: Watched) -> None:
        """Where it runs, and what it waits for: while it waits, its silence means nothing."""
        if state.phase is Phase.RUNNING and state.node and trial.user_attrs.get(attributes.NODE) is None:
            gpus = {attributes.GPUS: list(state.gpus)} if state.gpus else {}
            self._ledger.store(trial.number, {attributes.NODE: state.node, **gpus})
        if state.waits or state.phase is Phase.PENDING:
            watched.heard_s = self._now_s
        if state.waits and watched.waits is None:
            self._events.emit("trial_waiting", trial=trial.number, detail=state.waits)
        watched.waits = state.waits

    def _stop_wanted(self, trial: FrozenTrial, state: JobStatus, watched: Watched) -> str | None:
        """The intent to stop a job for another cause than its values."""
        settings, now_s = self._plan.settings, self._now_s
        limit_s = settings["trial_timeout"]
        if self._cancelling:
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

    def _report(self, trial: FrozenTrial, progress: Progress) -> bool:
        """Report new epochs. True if there was one."""
        new = self._ledger.report(trial, attempts.points(self._plan, progress))
        same = {"trial": trial.number, "epochs": self._plan.epochs, "metric": self._plan.metric.name}
        for epoch, value in sorted(new.items()):
            self._events.emit("epoch", epoch=epoch, value=value, **same)
        return bool(new)

    def _trim(self, trial: FrozenTrial, progress: Progress) -> None:
        if self._plan.settings["keep_checkpoints"] != "all":
            results.trim(*self._checkpoints(trial), attempts.points(self._plan, progress), self._plan.metric)

    def _checkpoints(self, trial: FrozenTrial) -> tuple[Path, CheckpointNames]:
        names = self._plan.skill.facts.checkpoints
        return self._paths(trial).checkpoints(names.folder), names

    def _finish(self, trial: FrozenTrial, state: JobStatus, progress: Progress) -> None:
        """The job is over: say what it was worth, and tell; or give the trial another attempt."""
        plan, paths, intent = self._plan, self._paths(trial), trial.user_attrs.get(attributes.INTENT)
        values = attempts.points(plan, progress)
        if values and attempts.is_done(plan, state, progress):
            self._tell(trial, TrialState.COMPLETE, attempts.facts(plan, paths, state, values))
        elif intent == PRUNED:
            self._tell(trial, TrialState.PRUNED, attempts.facts(plan, paths, state, values))
        elif intent == CANCELLED:
            self._again(trial, {})
        else:
            self._fail(trial, state, progress, intent)

    def _fail(self, trial: FrozenTrial, state: JobStatus, progress: Progress, intent: str | None) -> None:
        """Why it failed, and what follows from that."""
        plan, paths = self._plan, self._paths(trial)
        found = attempts.diagnose(plan, paths, state, progress, intent == SILENT)
        if intent == OVERDUE:
            found = failure.diagnosis(FailureReason.TIMEOUT, f"it ran longer than {plan.settings['trial_timeout']:g} s")
        decision = recovery.decide(found, attempts.history(plan, trial, self._ledger.trials()))
        self._shun(trial, state, found, decision)
        if decision.again:
            self._retry(trial, found, decision)
            return
        infeasible = decision.action is Action.INFEASIBLE
        facts = attempts.facts(plan, paths, state, {} if infeasible else attempts.points(plan, progress))
        facts |= {attributes.REASON: found.reason.value, attributes.DETAIL: found.line, attributes.FIX: found.fix}
        if decision.action is Action.ABORT:
            self.abort(decision.detail)
        self._tell(trial, TrialState.PRUNED if infeasible else TrialState.FAIL, facts, infeasible=infeasible)

    def _shun(self, trial: FrozenTrial, state: JobStatus, found: Diagnosis, decision: Decision) -> None:
        """A faulty GPU is used no more in this study; what else is to be avoided, only this trial avoids."""
        names = attempts.avoidable(trial, state, decision)
        if decision.quarantine and names:
            self._ledger.add_to_quarantine(names)
            self._events.emit("gpu_quarantined", gpus=list(names), reason=found.reason.value)
        elif names:
            known = trial.user_attrs.get(attributes.AVOID) or []
            self._ledger.store(trial.number, {attributes.AVOID: list(dict.fromkeys([*known, *names]))})

    def _retry(self, trial: FrozenTrial, found: Diagnosis, decision: Decision) -> None:
        """A new attempt of the same trial, with what has to be different in it."""
        stored = attempts.again(self._plan, trial, found, decision, self._now_s)
        results.discard(*self._checkpoints(trial))
        self._events.emit(
            "trial_retried",
            trial=trial.number,
            attempt=attempt_of(trial),
            reason=found.reason.value,
            detail=decision.detail,
            changed=stored.get(attributes.CHANGED),
        )
        self._again(trial, stored)

    def _again(self, trial: FrozenTrial, stored: Mapping[str, Any]) -> None:
        """A new attempt; while the study is being stopped it stays RUNNING, and `resume` gives it the attempt."""
        if self._cancelling:
            self._ledger.store(trial.number, {**stored, attributes.PARKED_S: self._now_s})
        else:
            self._next_attempt(trial, stored)
        self._cluster.release(self._job_id(trial))

    def _tell(
        self, trial: FrozenTrial, outcome: TrialState, found: Mapping[str, Any], *, infeasible: bool = False
    ) -> None:
        """The commit point of a trial."""
        self._ledger.store(trial.number, found)
        if infeasible:
            self._ledger.tell_infeasible(trial.number)
        else:
            value = found.get(attributes.BEST_VALUE) if outcome is TrialState.COMPLETE else None
            self._ledger.tell(trial.number, outcome, value)
        self._cluster.release(self._job_id(trial))
        self._watched.pop(trial.number, None)
        self._events.emit(
            "trial_finished",
            trial=trial.number,
            state=outcome.name,
            reason=None if outcome is TrialState.COMPLETE else found.get(attributes.REASON, PRUNED),
            detail=found.get(attributes.DETAIL),
            epoch=found.get(attributes.BEST_EPOCH),
            metric=self._plan.metric.name,
            value=found.get(attributes.BEST_VALUE),
            duration_s=found.get(attributes.TRAINER_TIME_S),
        )
        self._publish(trial.number)

    def _publish(self, told: int | None = None) -> None:
        """Refresh `best/` and remove checkpoints that no longer count. Safe to repeat."""
        plan, names = self._plan, self._plan.skill.facts.checkpoints
        criteria = results.Criteria(plan.metric, names, plan.settings["keep_checkpoints"])
        won = results.refresh(plan.paths, plan.name, self._ledger.trials(), criteria, told)
        if won is not None:
            self._events.emit("new_best", trial=won.trial, epoch=won.epoch, metric=won.metric, value=won.value)

    def _best_fields(self) -> dict[str, Any]:
        won = results.best(self._plan.paths, self._plan.name, self._ledger.trials(), self._plan.metric)
        return {} if won is None else {name: getattr(won, name) for name in ("trial", "epoch", "metric", "value")}
