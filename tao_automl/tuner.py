"""The loop: one tick makes storage, cluster and files agree, and starts what there is room for.

Nothing here is remembered that storage and files do not say, so a driver that dies loses nothing: the next
one ticks. What must hold:

- `tell` is the commit point. An intent (to prune, to cancel) is stored before the job is stopped, so the
  exit code that follows is read as what it is.
- The job's state is read before its status file, because the last lines arrive with the exit.
- A job's id is derived from study, trial and attempt; submitting it again attaches to it.
- What is read for the first time after a restart is history: it is reported and never pruned.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tao_automl import plan as plans
from tao_automl import results
from tao_automl.events import EventLog
from tao_automl.execution.cluster import Cluster
from tao_automl.execution.job import JobStatus, Phase
from tao_automl.layout import AttemptPaths
from tao_automl.plan import Plan
from tao_automl.search import attributes, stopping
from tao_automl.search import study as studies
from tao_automl.search.stopping import Budget
from tao_automl.search.study import FrozenTrial, Study, TrialState
from tao_automl.tao import checkpoint, failure, status
from tao_automl.tao.failure import FailureReason
from tao_automl.tao.status import Progress

TICK_S = 0.05
STOP_GRACE_S = 0.0  # a pruned trial's last state is of no use
MAX_LOST = 3  # jobs of one trial that were lost with their machine; then it has failed
REQUEST_EVERY_S = 1.0
PRUNED, CANCELLED = "pruned", "cancelled"  # intents


@dataclass
class Watched:
    """A trial whose status file is being read: a cache, made again from the file after a restart."""

    progress: Progress = field(default_factory=Progress)
    offset: int = 0
    history: bool = False  # its file has not been read since the driver started
    cancelled: bool = False  # this driver has told the cluster to stop it


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `reason` is a phrase; `interrupted` means that `resume` has work left."""

    reason: str
    interrupted: bool


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
        self._study = study
        self._cluster = cluster
        self._events = events
        self._now = now
        self._watched: dict[int, Watched] = {}
        self._draining = ""  # why no more trials are started
        self._cancelling = False
        self._asked_at_s = 0.0
        self._known: list[FrozenTrial] | None = None  # what was read last; None once something was written

    @property
    def budget(self) -> Budget:
        settings = self._plan.settings
        return Budget(self._plan.trials, settings["time"], settings["max_failures"])

    def drain(self, reason: str) -> None:
        """Start no more trials; the active ones finish."""
        self._draining = self._draining or reason

    def cancel(self, reason: str) -> None:
        """Start no more trials and stop the active ones; `resume` starts them again."""
        self.drain(reason)
        self._cancelling = True

    def run(self, sleep: Callable[[float], None] = time.sleep) -> Outcome:
        """Tick until the budget is spent and no trial is active."""
        self.adopt()
        while True:
            active = self.tick()
            why = self._draining or stopping.exhausted(self.budget, self._spent())
            if why and not active:
                break
            sleep(TICK_S)
        spent = stopping.exhausted(self.budget, self._spent())
        interrupted = spent is None or bool(self._running())
        why = why if interrupted else spent or why
        self._events.emit("study_finished", reason=why, **self._best_fields())
        return Outcome(why, interrupted)

    def adopt(self) -> None:
        """What an earlier driver left: its files are history, and what it parked gets a new attempt.

        A job that it had only meant to cancel may still run: that is stopped first, by the ticks.
        """
        for trial in self._running():
            if self._is_parked(trial):
                self._next_attempt(trial)
            self._watched[trial.number] = Watched(history=True)
        self._publish()

    def tick(self) -> int:
        """One round. Returns how many trials are active after it."""
        self._read_request()
        active = self._active()
        states = self._cluster.status([self._job_id(trial) for trial in active])
        for trial in active:
            self._settle(trial, states[self._job_id(trial)])
        while self._has_room():
            self._start()
        return len(self._active())

    def _trials(self) -> list[FrozenTrial]:
        """The trials in storage. A read costs as much as the rest of a tick, and nobody else writes them."""
        if self._known is None:
            self._known = studies.trials(self._study)
        return self._known

    def _store(self, number: int, found: Mapping[str, Any]) -> None:
        studies.set_trial_attributes(self._study, number, found)
        self._known = None

    def _running(self) -> list[FrozenTrial]:
        return [trial for trial in self._trials() if trial.state == TrialState.RUNNING]

    def _active(self) -> list[FrozenTrial]:
        """Running trials; one that was cancelled and has stopped waits for `resume`."""
        return [trial for trial in self._running() if not self._is_parked(trial)]

    def _is_parked(self, trial: FrozenTrial) -> bool:
        return bool(trial.user_attrs.get(attributes.PARKED_S))

    def _has_room(self) -> bool:
        if self._draining or stopping.exhausted(self.budget, self._spent()):
            return False
        running = self._running()
        started = self._spent().finished + len(running)
        return started < self._plan.trials and len(running) < self._plan.parallel and self._cluster.free() > 0

    def _spent(self) -> stopping.Spent:
        return stopping.spent(self._trials(), self._now())

    def _read_request(self) -> None:
        """`tao-automl stop` leaves its wish in storage."""
        if self._now().timestamp() - self._asked_at_s < REQUEST_EVERY_S:
            return
        self._asked_at_s = self._now().timestamp()
        request = self._study.user_attrs.get(attributes.STOP)
        if request == "drain":
            self.drain("stopped: active trials finish")
        elif request == "now":
            self.cancel("stopped")

    def _job_id(self, trial: FrozenTrial) -> str:
        return plans.job_id(self._plan.name, trial.number, trial.user_attrs.get(attributes.ATTEMPT, 1))

    def _paths(self, trial: FrozenTrial) -> AttemptPaths:
        return self._plan.paths.attempt(trial.number, trial.user_attrs.get(attributes.ATTEMPT, 1))

    def _start(self) -> None:
        number, values = studies.ask(self._study, self._plan.space)
        self._known = None
        self._watched[number] = Watched()
        self._submit(number, 1, values)

    def _submit(self, number: int, attempt: int, values: dict[str, Any]) -> None:
        """Write the attempt's files, submit its job, then store what was submitted.

        Doing it again changes nothing: a driver that dies in between is followed by one that submits again.
        """
        paths, job = self._plan.paths.attempt(number, attempt), plans.trial_job(self._plan, number, attempt)
        attached = paths.spec.exists()
        if not attached:
            plans.write_job(paths, job, plans.trial_spec(self._plan, values, paths))
        self._cluster.submit(job)
        self._store(number, {attributes.ATTEMPT: attempt, attributes.VALUES: values})
        kind = "trial_attached" if attached else "trial_started"
        self._events.emit(kind, trial=number, attempt=attempt, params=values)

    def _next_attempt(self, trial: FrozenTrial, found: Mapping[str, Any] | None = None) -> None:
        """The same config again, in a fresh folder: TAO resumes from whatever it finds in one."""
        attempt = trial.user_attrs.get(attributes.ATTEMPT, 1) + 1
        cleared = {attributes.INTENT: None, attributes.PARKED_S: None}
        self._store(trial.number, {attributes.ATTEMPT: attempt, **(found or {}), **cleared})
        self._watched[trial.number] = Watched()

    def _settle(self, trial: FrozenTrial, state: JobStatus) -> None:
        """Bring one running trial up to date with its job."""
        if state.phase is Phase.UNKNOWN:
            if self._cluster.free() <= 0:  # more were active than now may be
                return
            values = studies.resume_ask(self._study, trial.number, self._plan.space)
            self._submit(trial.number, trial.user_attrs.get(attributes.ATTEMPT, 1), values)
            return
        watched = self._watched.setdefault(trial.number, Watched(history=True))
        fresh = self._read(trial, watched)
        if state.phase is Phase.EXITED:
            self._finish(trial, state, watched.progress)
            return
        if state.node and attributes.NODE not in trial.user_attrs:
            self._store(trial.number, {attributes.NODE: state.node})
        self._trim(trial, watched.progress)
        intent = trial.user_attrs.get(attributes.INTENT)
        if self._cancelling and intent is None:
            intent = self._intend(trial, CANCELLED)
        may_prune = intent is None and fresh and not watched.history
        if may_prune and studies.should_prune(self._study, trial.number):
            intent = self._intend(trial, PRUNED)
        watched.history = False
        if intent and not watched.cancelled:
            watched.cancelled = True
            self._cluster.cancel(self._job_id(trial), STOP_GRACE_S)

    def _intend(self, trial: FrozenTrial, intent: str) -> str:
        """Stored before the job is stopped, so that its exit code is not taken for a failure."""
        self._store(trial.number, {attributes.INTENT: intent})
        self._events.emit("trial_stopping", trial=trial.number, intent=intent)
        return intent

    def _read(self, trial: FrozenTrial, watched: Watched) -> bool:
        """Read new status lines and report new epochs. True if there was a new value."""
        chunk = status.read(self._paths(trial).status("train"), watched.offset)
        before = Progress() if chunk.restarted else watched.progress
        watched.offset, watched.progress = chunk.offset, before.advance(chunk.lines)
        known = trial.intermediate_values
        new = {epoch: value for epoch, value in self._points(watched.progress).items() if epoch not in known}
        if new:
            studies.report(self._study, trial.number, new)
            self._known = None
        for epoch, value in sorted(new.items()):
            self._events.emit(
                "epoch",
                trial=trial.number,
                epoch=epoch,
                epochs=self._plan.epochs,
                metric=self._plan.metric.name,
                value=value,
            )
        return bool(new)

    def _points(self, progress: Progress) -> dict[int, float]:
        """The study metric by epoch; an epoch without a usable value has none."""
        values = {epoch: self._plan.metric.value(kpi) for epoch, kpi in progress.points.items()}
        return {epoch: value for epoch, value in values.items() if value is not None}

    def _trim(self, trial: FrozenTrial, progress: Progress) -> None:
        if self._plan.settings["keep_checkpoints"] != "all":
            names = self._plan.skill.facts.checkpoints
            folder = self._paths(trial).checkpoints(names.folder)
            results.trim(folder, names, self._points(progress), self._plan.metric)

    def _finish(self, trial: FrozenTrial, state: JobStatus, progress: Progress) -> None:
        """The job is over: say what it was worth, and tell."""
        verdict = status.verdict(state.exit_code, progress, "train", self._plan.epochs)
        intent = trial.user_attrs.get(attributes.INTENT)
        if not verdict.ok and self._again(trial, state, intent):
            return
        points = self._points(progress)
        reason = None if verdict.ok else verdict.reason or FailureReason.UNKNOWN
        if verdict.ok and not points:
            reason = FailureReason.NO_METRIC
        outcome = TrialState.COMPLETE
        if reason is not None:
            outcome = TrialState.PRUNED if intent == PRUNED else TrialState.FAIL
        found = self._facts(trial, state, points)
        if outcome is TrialState.FAIL:
            found |= self._diagnose(trial, state, progress, reason)
        self._store(trial.number, found)
        value = found.get(attributes.BEST_VALUE) if outcome is TrialState.COMPLETE else None
        studies.tell(self._study, trial.number, outcome, value)
        self._known = None
        self._cluster.release(self._job_id(trial))
        self._watched.pop(trial.number, None)
        self._events.emit(
            "trial_finished",
            trial=trial.number,
            state=outcome.name,
            reason=found.get(attributes.REASON, intent),
            epoch=found.get(attributes.BEST_EPOCH),
            metric=self._plan.metric.name,
            value=found.get(attributes.BEST_VALUE),
            duration_s=found.get(attributes.TRAINER_TIME_S),
        )
        self._publish()

    def _again(self, trial: FrozenTrial, state: JobStatus, intent: str | None) -> bool:
        """A job that was cancelled or lost says nothing about its config: True if there is a new attempt."""
        lost = trial.user_attrs.get(attributes.LOST, 0) + 1
        if state.exit_code is None and intent is None and lost < MAX_LOST:
            self._events.emit("trial_lost", trial=trial.number, attempt=trial.user_attrs.get(attributes.ATTEMPT, 1))
            found = {attributes.LOST: lost}
        elif intent == CANCELLED:
            found = {}
        else:
            return False
        if self._cancelling:  # it stays RUNNING in storage, and `resume` gives it the new attempt
            found = {**found, attributes.PARKED_S: self._now().timestamp()}
            self._store(trial.number, found)
        else:
            self._next_attempt(trial, found)
        self._cluster.release(self._job_id(trial))
        return True

    def _facts(self, trial: FrozenTrial, state: JobStatus, points: dict[int, float]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if state.exit_code != 0:  # each attribute is a commit, and most jobs end well
            found[attributes.EXIT_CODE] = state.exit_code
        if state.started_at_s is not None and state.ended_at_s is not None:
            found[attributes.TRAINER_TIME_S] = round(state.ended_at_s - state.started_at_s, 3)
        best = self._plan.metric.best(points)
        if best is not None:
            found[attributes.BEST_EPOCH], found[attributes.BEST_VALUE] = best
            names = self._plan.skill.facts.checkpoints
            files = checkpoint.scan(self._paths(trial).checkpoints(names.folder), names)
            file = checkpoint.choose(files, points, self._plan.metric)
            if file is not None:
                found[attributes.CHECKPOINT] = self._plan.paths.relative(file.path)
        return found

    def _diagnose(
        self, trial: FrozenTrial, state: JobStatus, progress: Progress, reason: FailureReason | None
    ) -> dict[str, Any]:
        """Why it failed: the log knows more than the exit code does."""
        if reason is FailureReason.NO_METRIC:
            return {
                attributes.REASON: reason.value,
                attributes.DETAIL: f"no epoch reported {self._plan.metric.name}",
            }
        tail = failure.tail(self._paths(trial).log)
        found = failure.classify("\n".join(tail), progress.failures, state.exit_code)
        known = reason if found.reason is FailureReason.UNKNOWN and reason is not None else found.reason
        return {attributes.REASON: known.value, attributes.DETAIL: found.line, attributes.FIX: found.fix}

    def _publish(self) -> None:
        """Refresh `best/` and remove checkpoints that no longer count. Safe to repeat."""
        trials = self._trials()
        paths, metric, names = self._plan.paths, self._plan.metric, self._plan.skill.facts.checkpoints
        keep = self._plan.settings["keep_checkpoints"]
        if keep != "all":
            results.retain(paths, trials, metric, names, keep)
        ranked = results.ranking(trials, metric)
        if not ranked:
            return
        won = results.winner(ranked[0], self._plan.name, paths, metric)
        if _published(paths.best_metrics) == (won.trial, won.epoch) or not won.attempt.spec.exists():
            return
        progress = Progress().advance(status.read(won.attempt.status("train")).lines)
        results.publish(won, paths, progress.points.get(won.epoch, {}))
        self._events.emit("new_best", trial=won.trial, epoch=won.epoch, metric=won.metric, value=won.value)

    def _best_fields(self) -> dict[str, Any]:
        ranked = results.ranking(self._trials(), self._plan.metric)
        if not ranked:
            return {}
        won = results.winner(ranked[0], self._plan.name, self._plan.paths, self._plan.metric)
        return {"trial": won.trial, "epoch": won.epoch, "metric": won.metric, "value": won.value}


def _published(metrics: Any) -> tuple[int, int] | None:
    try:
        stored = json.loads(metrics.read_text(encoding="utf-8"))
        return stored["trial"], stored["epoch"]
    except (OSError, ValueError, KeyError):
        return None
