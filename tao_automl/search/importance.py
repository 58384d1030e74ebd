"""Which of the searched parameters mattered: PED-ANOVA (Watanabe et al., IJCAI 2023), by Optuna's evaluator.

It compares where the best trials lie with where all of them lie, one parameter at a time, and a conditional
parameter counts as far as it was there. fANOVA (Hutter et al., ICML 2014) fits a forest to the values instead; it
needs scikit-learn and the parameters that every trial has.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from tao_automl.errors import PlatformError, UsageError, near
from tao_automl.search import confirm
from tao_automl.search.attributes import BEST_VALUE

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator

METHODS = ("ped-anova", "fanova")
ENOUGH = 20  # trials: of 8 parameters the order is right by a rank correlation of 0.55 then, of 0.4 with 10
_AMONG_THE_BEST = 5  # trials that PED-ANOVA needs there, as Optuna's authors advise


@dataclass(frozen=True)
class Importances:
    """Shares by path of the spec, the largest first; they add up to 1. Empty while `missing` trials are lacking."""

    method: str
    shares: Mapping[str, float] = field(default_factory=dict)
    trials: int = 0
    missing: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "method": self.method,
            "trials": self.trials,
            "missing_trials": self.missing,
            "shares": dict(self.shares),
        }


def of(trials: Iterable[FrozenTrial], *, maximize: bool, method: str = "ped-anova") -> Importances:
    """The importances for the study's metric, from the trials that ran to their end.

    Raises:
        UsageError: there is no such method.
        PlatformError: fANOVA without scikit-learn.
    """
    if method not in METHODS:
        raise UsageError(f"there is no importance '{method}'", near(method, METHODS))
    judged = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE
        and trial.user_attrs.get(BEST_VALUE) is not None
        and not confirm.is_repeat(trial)
    ]
    found = Importances(method, trials=len(judged), missing=max(0, ENOUGH - len(judged)))
    if found.missing:
        return found
    study = _by_path(judged, maximize)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts of the space with few trials, whose share is small anyway
        try:
            shares = optuna.importance.get_param_importances(study, evaluator=_evaluator(method, len(judged)))
        except ImportError:
            raise PlatformError("fANOVA needs scikit-learn", tip="pip install scikit-learn") from None
    return replace(found, shares=dict(sorted(shares.items(), key=lambda item: (-item[1], item[0]))))


def _evaluator(method: str, trials: int) -> BaseImportanceEvaluator:
    from optuna import importance  # noqa: PLC0415 it imports scikit-learn, where that is installed: seconds

    if method == "fanova":
        return importance.FanovaImportanceEvaluator(seed=0)
    return importance.PedAnovaImportanceEvaluator(target_quantile=max(0.1, _AMONG_THE_BEST / trials))


def _by_path(trials: Sequence[FrozenTrial], maximize: bool) -> optuna.Study:
    """The same trials with their codes by path of the spec, and one range of each parameter for all of them.

    A range that follows another parameter differs from trial to trial, and each would count as a space of its own.
    """
    ranges: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            path = path_of(name)
            ranges[path] = _joined(ranges[path], distribution) if path in ranges else distribution
    varied = {path: distribution for path, distribution in ranges.items() if not distribution.single()}
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    for trial in trials:
        params = {path_of(name): code for name, code in trial.params.items() if path_of(name) in varied}
        study.add_trial(
            create_trial(
                value=trial.user_attrs[BEST_VALUE],
                params=params,
                distributions={path: varied[path] for path in params},
            )
        )
    return study


def path_of(name: str) -> str:
    """The path in the spec of a parameter's name in Optuna, such as `dataset.batch_size@log2`."""
    return name.partition("@")[0]


def _joined(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """What holds the values of both."""
    if one == other:
        return one
    if isinstance(one, CategoricalDistribution) and isinstance(other, CategoricalDistribution):
        return CategoricalDistribution(tuple(dict.fromkeys([*one.choices, *other.choices])))
    if isinstance(one, IntDistribution) and isinstance(other, IntDistribution):
        log = one.log and other.log
        return IntDistribution(min(one.low, other.low), max(one.high, other.high), log=log)
    if isinstance(one, FloatDistribution) and isinstance(other, FloatDistribution):
        return FloatDistribution(min(one.low, other.low), max(one.high, other.high), log=one.log and other.log)
    return one
