"""How an attempt of a trial ends: with a value, or with another attempt, or without either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tao_automl import attempts, recovery, results
from tao_automl.execution.job import JobStatus
from tao_automl.ledger import attempt_of
from tao_automl.recovery import Action, Decision
from tao_automl.search import attributes
from tao_automl.search.study import FrozenTrial, TrialState
from tao_automl.session import CANCELLED, OVERDUE, PRUNED, SILENT, Session
from tao_automl.tao import failure
from tao_automl.tao.failure import Diagnosis, FailureReason
from tao_automl.tao.status import Progress


class Endings:
    """Ends trials for one driver; `tell` is the commit point of each."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._plan, self._ledger = session.plan, session.ledger

    def finish(self, trial: FrozenTrial, state: JobStatus, progress: Progress) -> None:
        """The job is over: say what it was worth, and tell; or give the trial another attempt."""
        plan, paths, intent = self._plan, self._session.paths(trial), trial.user_attrs.get(attributes.INTENT)
        values, segment = attempts.points(plan, progress), self._session.segment(trial)
        if values and attempts.is_done(segment, state, progress):
            # Optuna's tools compare the values of COMPLETE trials; one that ended at a rung is PRUNED at its epoch.
            outcome = TrialState.COMPLETE if segment.end >= plan.epochs else TrialState.PRUNED
            self._tell(trial, outcome, attempts.facts(plan, paths, state, values, segment))
        elif intent == PRUNED:
            self._tell(trial, TrialState.PRUNED, attempts.facts(plan, paths, state, values, segment))
        elif intent == CANCELLED:
            self._again(trial, {})
        else:
            self._fail(trial, state, progress, intent)

    def publish(self, told: int | None = None) -> None:
        """Refresh `best/` and remove checkpoints that no longer count. Safe to repeat."""
        plan, names = self._plan, self._plan.skill.facts.checkpoints
        keep = plan.settings["keep_checkpoints"]
        criteria = results.Criteria(plan.metric, names, keep, self._ledger.needed())
        won = results.refresh(plan.paths, plan.name, self._ledger.trials(), criteria, told)
        if won is not None:
            self._session.events.emit("new_best", trial=won.trial, epoch=won.epoch, metric=won.metric, value=won.value)

    def best_fields(self) -> dict[str, Any]:
        """The winner so far, as `study_finished` says it."""
        won = results.best(self._plan.paths, self._plan.name, self._ledger.trials(), self._plan.metric)
        return {} if won is None else {name: getattr(won, name) for name in ("trial", "epoch", "metric", "value")}

    def _fail(self, trial: FrozenTrial, state: JobStatus, progress: Progress, intent: str | None) -> None:
        """Why it failed, and what follows from that."""
        plan, paths, segment = self._plan, self._session.paths(trial), self._session.segment(trial)
        if attempts.is_done(segment, state, progress):
            found = attempts.without_metric(plan, progress)
        else:
            found = attempts.diagnose(paths, state, progress, intent == SILENT)
        if intent == OVERDUE:
            found = failure.diagnosis(FailureReason.TIMEOUT, f"it ran longer than {plan.settings['trial_timeout']:g} s")
        decision = recovery.decide(found, attempts.history(plan, trial, self._ledger.trials()))
        self._shun(trial, state, found, decision)
        if decision.again:
            self._retry(trial, found, decision)
            return
        infeasible = decision.action is Action.INFEASIBLE
        values = {} if infeasible else attempts.points(plan, progress)
        facts = attempts.facts(plan, paths, state, values, segment)
        facts |= {attributes.REASON: found.reason.value, attributes.DETAIL: found.line, attributes.FIX: found.fix}
        if decision.action is Action.ABORT:
            self._session.abort(decision.detail)
        self._tell(trial, TrialState.PRUNED if infeasible else TrialState.FAIL, facts, infeasible=infeasible)

    def _shun(self, trial: FrozenTrial, state: JobStatus, found: Diagnosis, decision: Decision) -> None:
        """A faulty GPU is used no more in this study; what else is to be avoided, only this trial avoids."""
        names = attempts.avoidable(trial, state, decision)
        if decision.quarantine and names:
            self._ledger.add_to_quarantine(names)
            self._session.events.emit("gpu_quarantined", gpus=list(names), reason=found.reason.value)
        elif names:
            known = trial.user_attrs.get(attributes.AVOID) or []
            self._ledger.store(trial.number, {attributes.AVOID: list(dict.fromkeys([*known, *names]))})

    def _retry(self, trial: FrozenTrial, found: Diagnosis, decision: Decision) -> None:
        """A new attempt of the same trial, with what has to be different in it."""
        stored = attempts.again(self._plan, trial, found, decision, self._session.now_s)
        results.discard(*self._session.checkpoints(trial))
        self._session.events.emit(
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
        if self._session.cancelling:
            self._ledger.store(trial.number, {**stored, attributes.PARKED_S: self._session.now_s})
        else:
            self._session.next_attempt(trial, stored)
        self._session.cluster.release(self._session.job_id(trial))

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
        self._session.cluster.release(self._session.job_id(trial))
        self._session.watched.pop(trial.number, None)
        self._session.events.emit(
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
        self.publish(trial.number)
