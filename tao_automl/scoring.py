"""Trials that are scored by an action of the skill, such as evaluate, instead of by their training log.

The action is a second job of the same trial, after the training and before it is told. Like a training it is known by
a derived id and a folder of its own, so that the next driver attaches to it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tao_automl import action, actionplan, measures, results
from tao_automl.actionplan import Asked, Prepared
from tao_automl.endings import Endings
from tao_automl.errors import AutoMLError
from tao_automl.execution.job import JobStatus, Phase
from tao_automl.parents import Origin
from tao_automl.search import attributes
from tao_automl.search.study import FrozenTrial, TrialState
from tao_automl.session import CANCELLED, OVERDUE, Session
from tao_automl.tao import failure, status
from tao_automl.tao.failure import FailureReason
from tao_automl.tao.status import Progress

ATTEMPTS = 3  # of an action whose end nobody saw


class Scoring:
    """Scores the trials of one driver."""

    def __init__(self, session: Session, endings: Endings) -> None:
        self._session, self._endings = session, endings
        self._plan, self._ledger = session.plan, session.ledger

    def resume(self, trial: FrozenTrial) -> None:
        """A trial that was stopped while it was scored is scored again; its training stays."""
        self._ledger.store(trial.number, {attributes.PARKED_S: None})

    def settle(self, trial: FrozenTrial, state: JobStatus) -> None:
        """Bring one trial up to date with its action's job."""
        if state.phase is Phase.UNKNOWN:
            self._submit(trial)
        elif state.phase is Phase.EXITED:
            self._finish(trial, state)
        elif trial.user_attrs.get(attributes.INTENT) is None and (intent := self._stop_wanted(state)):
            self._ledger.store(trial.number, {attributes.INTENT: intent})
            self._session.cluster.cancel(self._session.job_id(trial), 0.0)

    def _stop_wanted(self, state: JobStatus) -> str | None:
        limit_s = self._plan.settings["trial_timeout"]
        if self._session.cancelling:
            return CANCELLED
        if (
            limit_s is not None
            and state.started_at_s is not None
            and self._session.now_s - state.started_at_s > limit_s
        ):
            return OVERDUE
        return None

    def _submit(self, trial: FrozenTrial) -> None:
        if self._session.cancelling:
            self._park(trial)
            return
        if self._session.cluster.free(self._ledger.avoid(trial.user_attrs)) <= 0:
            return
        try:
            prepared = self._prepared(trial)
        except AutoMLError as error:
            self._fail(trial, FailureReason.BAD_SPEC.value, error.message, error.tip)
            return
        if not prepared.paths.spec.exists():
            action.write(self._plan, prepared)
        self._session.cluster.submit(prepared.job)
        self._session.events.emit("trial_scoring", trial=trial.number, action=prepared.action.name)

    def _prepared(self, trial: FrozenTrial) -> Prepared:
        """The same each time: the action, from the checkpoint that the training left, in a folder of its own."""
        plan = self._plan
        won = results.winner(trial, plan.name, plan.paths, plan.metric)
        paths = self._session.paths(trial).scoring(trial.user_attrs[attributes.SCORING])
        made = actionplan.compose(plan, Asked(plan.settings["eval_action"]), Origin(plan.paths, won), paths)
        return dataclasses.replace(made, job=dataclasses.replace(made.job, id=self._session.job_id(trial)))

    def _finish(self, trial: FrozenTrial, state: JobStatus) -> None:
        intent = trial.user_attrs.get(attributes.INTENT)
        if intent == CANCELLED:
            self._park(trial)
            return
        if intent == OVERDUE:
            found = failure.diagnosis(FailureReason.TIMEOUT, "it ran longer than --trial-timeout")
            self._fail(trial, found.reason.value, str(found.line), found.fix)
            return
        if state.exit_code is None and trial.user_attrs[attributes.SCORING] < ATTEMPTS:
            self._again(trial, {})
            return
        try:
            done = action.finish(self._plan, self._prepared(trial), state)
        except AutoMLError as error:
            self._fail(trial, error.code, error.message, error.tip)
            return
        self._tell(trial, dict(done.metrics))

    def _tell(self, trial: FrozenTrial, score: dict[str, Any]) -> None:
        plan, known = self._plan, trial.user_attrs
        lines = status.read(self._session.paths(trial).status("train")).lines
        training = measures.kpi(Progress().advance(lines), known[attributes.BEST_EPOCH])
        measured = {plan.metric.name: plan.metric.evaluated(score), **measures.of(plan, known, training, score)}
        values = {name: value for name, value in measured.items() if value is not None}
        if missing := [name for name in measured if name not in values]:
            found = measures.lacking(missing, score)
            self._fail(trial, found.reason.value, str(found.line), found.fix)
            return
        logged, value = known[attributes.BEST_VALUE], values.pop(plan.metric.name)
        stored = {name: known.get(name) for name in (attributes.BEST_EPOCH, attributes.TRAINER_TIME_S)}
        own = {**stored, attributes.BEST_VALUE: value, attributes.LOGGED: logged}
        self._endings.complete(trial, own, values)

    def _fail(self, trial: FrozenTrial, reason: str, detail: str, fix: str) -> None:
        said = f"{self._plan.settings['eval_action']}: {detail}"
        found = {attributes.REASON: reason, attributes.DETAIL: said, attributes.FIX: fix}
        self._endings.tell(trial, TrialState.FAIL, found)

    def _park(self, trial: FrozenTrial) -> None:
        """It waits for `resume`, which scores it again."""
        self._again(trial, {attributes.PARKED_S: self._session.now_s})

    def _again(self, trial: FrozenTrial, stored: dict[str, Any]) -> None:
        """A fresh folder and another id: what was there is no result."""
        job_id, number = self._session.job_id(trial), trial.user_attrs[attributes.SCORING]
        cleared = {attributes.INTENT: None} if trial.user_attrs.get(attributes.INTENT) else {}
        self._ledger.store(trial.number, {**cleared, **stored, attributes.SCORING: number + 1})
        self._session.cluster.release(job_id)
