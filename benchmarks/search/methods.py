"""What is compared: Optuna's samplers as their users start them, and ours through the code that a study runs.

A name is a sampler and what is added to it: `tpe`, `tpe+default` (the centre first), `tpe@bounds` (the schema's own
bounds instead of our space), `tpe+default+hyperband`. `our:asha` is what `tao-automl run --algorithm asha` does, and
`our:auto+none` that algorithm with another pruner, or with none. `our:default` is what `tao-automl run` does.
"""

from __future__ import annotations

import hashlib
import importlib.util
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from benchmarks.search.problems.problem import Problem
from tao_automl import config
from tao_automl.errors import UsageError
from tao_automl.search import algorithms, attributes
from tao_automl.search import study as studies
from tao_automl.search.algorithms import Schedule
from tao_automl.search.proposal import Start, budget_of
from tao_automl.search.rungs import Terms, default_min_epochs
from tao_automl.search.space import SearchSpace

_ROOT = Path(__file__).parents[2]
_GP_STARTUP = 5

_SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(n_startup_trials=_GP_STARTUP, seed=seed),
}
_PRUNERS: Mapping[str, Callable[[int], BasePruner]] = {
    "none": lambda _epochs: NopPruner(),
    "median": lambda _epochs: MedianPruner(),
    "hyperband": lambda epochs: HyperbandPruner(max_resource=epochs),
}


@dataclass(frozen=True)
class Begin:
    """A trial that begins. It trains from epoch `first` until `last` of them are done. `origin` is the trial that
    began the training, which is another one where a trial goes on from it.
    """

    number: int
    config: Mapping[str, Any]
    origin: int
    first: int
    last: int


class Session(Protocol):
    """One search: what the loop asks of it."""

    def ask(self) -> Begin | None:
        """A new trial; None while others must end first."""
        ...

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Store the metric of an epoch; True: stop the trial."""
        ...

    def tell(self, number: int, ending: str, best: tuple[int, float] | None) -> None:
        """Finish a trial: 'complete', 'pruned', 'memory' or 'diverged'; `best` is its best epoch and value."""
        ...


@dataclass(frozen=True)
class Method:
    """A method by its parts; `ours` says whose sampler it is."""

    name: str
    sampler: str
    pruner: str
    ours: bool
    bounds: bool = False
    default_first: bool = False

    @classmethod
    def parse(cls, name: str) -> Method:
        """Raises:
        SystemExit: nothing has this name.
        """
        ours = name.startswith("our:")
        sampler, *added = name.removeprefix("our:").split("+")
        sampler, _, bounds = sampler.partition("@")
        if ours and sampler == "default":
            sampler = str(config.KEYS["algorithm"].default)
        default_first = "default" in added
        pruners = [word for word in added if word != "default"]
        known = algorithms.names() if ours else tuple(_SAMPLERS)
        stoppers = algorithms.pruner_names() if ours else tuple(_PRUNERS)
        own = algorithms.ALGORITHMS[sampler].pruner if ours and sampler in known else "none"
        pruner = pruners[0] if pruners else own
        if sampler not in known or pruner not in stoppers or len(pruners) > 1 or bounds not in ("", "bounds"):
            raise SystemExit(
                f"no method is called '{name}'; samplers: {', '.join(known)}; pruners: {', '.join(stoppers)}"
            )
        return cls(name, sampler, pruner, ours, bool(bounds), default_first)

    def usable(self) -> bool:
        """False where the method needs a package that is not installed."""
        if self.sampler != "gp" or self.ours:
            return True
        return importlib.util.find_spec("torch") is not None

    def fits(self, problem: Problem) -> bool:
        """Whether the problem has what the method starts from."""
        if self.ours:
            try:
                _schedule(self, problem, 1000, 0).check()
            except UsageError:
                return False
        return not self.bounds or problem.raw is not None

    def open(self, problem: Problem, space: SearchSpace, seed: int, configs: int) -> Session:
        """A new search, of at most so many configs."""
        if self.ours:
            return _Ours(self, problem, space, seed, configs)
        return _Optunas(self, problem, problem.raw if self.bounds and problem.raw else space, seed)

    def filled(self, problem: Problem, trials: int) -> Session:
        """A search of ours that has `trials` random configs behind it, each finished."""
        session = _Ours(self, problem, problem.space, 0, 2 * trials)
        session.fill(problem, trials)
        return session

    def code(self) -> str:
        """A digest of what decides this method's proposals: another one makes kept results worthless."""
        here = _ROOT / "benchmarks" / "search"
        sources = [here / "loop.py", here / "methods.py", *sorted((here / "problems").glob("*.py"))]
        if self.ours:
            sources += sorted((_ROOT / "tao_automl" / "search").rglob("*.py"))
        text = b"".join(path.read_bytes() for path in sources)
        return hashlib.sha256(text).hexdigest()[:12]


class _Optunas:
    """Optuna as in its tutorial: objective, sampler, pruner."""

    def __init__(self, method: Method, problem: Problem, space: SearchSpace, seed: int) -> None:
        self._space, self._prunes, self._epochs = space, method.pruner != "none", problem.epochs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._study = optuna.create_study(
                study_name=f"{problem.name}/{seed}",  # Hyperband draws a trial's bracket from it
                direction=problem.direction.value,
                sampler=_SAMPLERS[method.sampler](seed),
                pruner=_PRUNERS[method.pruner](problem.epochs),
            )
        if method.default_first:
            self._study.enqueue_trial(space.centre())
        self._running: dict[int, Trial] = {}

    def ask(self) -> Begin:
        trial = self._study.ask()
        self._running[trial.number] = trial
        return Begin(trial.number, self._space.suggest(trial), trial.number, 0, self._epochs)

    def report(self, number: int, epoch: int, value: float) -> bool:
        trial = self._running[number]
        trial.report(value, epoch)
        return self._prunes and trial.should_prune()

    def tell(self, number: int, ending: str, best: tuple[int, float] | None) -> None:
        trial = self._running.pop(number)
        if ending == "complete" and best is not None:
            self._study.tell(trial, best[1])
        else:
            self._study.tell(trial, state=TrialState.PRUNED if ending == "pruned" else TrialState.FAIL)


class _Ours:
    """A study of this project, told as the tuner tells it."""

    def __init__(self, method: Method, problem: Problem, space: SearchSpace, seed: int, configs: int) -> None:
        self._space, self._epochs = space, problem.epochs
        self._schedule = _schedule(method, problem, configs, seed)
        chosen = {
            attributes.ALGORITHM: method.sampler,
            attributes.PRUNER: method.pruner,
            attributes.SEED: seed,
            attributes.EPOCHS: problem.epochs,
        }
        storage = optuna.storages.InMemoryStorage()
        self._study = studies.create(storage, problem.name, problem.metric, space, attributes=chosen)

    def fill(self, problem: Problem, trials: int) -> None:
        """Store finished trials of random configs, as if this search had asked for them."""
        self._space.suggest(self._study.ask())
        self._study.tell(0, problem.worth(self._space.decode(self._space.centre())))
        self._study.sampler = RandomSampler(seed=0)
        for _ in range(trials - 1):
            trial = self._study.ask()
            values = problem.train(self._space.suggest(trial), trial.number).values
            best = problem.metric.best(dict(enumerate(values)))
            self._study.tell(trial, best[1] if best else None, state=TrialState.COMPLETE if best else TrialState.FAIL)

    def ask(self) -> Begin | None:
        proposal = self._schedule.propose(studies.trials(self._study), self._space)
        if proposal is None:
            return None
        number, values = studies.ask(self._study, self._space, proposal)
        studies.set_trial_attributes(self._study, number, {attributes.VALUES: values})
        trials = studies.trials(self._study)
        origin, parent = number, proposal.parent
        while parent is not None and proposal.start is Start.RESUME:
            origin, parent = parent, trials[parent].user_attrs.get(attributes.PARENT)
        first = 0 if origin == number else budget_of(trials[proposal.parent or 0], self._epochs)
        return Begin(number, values, origin, first, proposal.epochs or self._epochs)

    def report(self, number: int, epoch: int, value: float) -> bool:
        studies.report(self._study, number, {epoch: value})
        return studies.should_prune(self._study, number)

    def tell(self, number: int, ending: str, best: tuple[int, float] | None) -> None:
        if ending in ("memory", "diverged"):
            reason = "gpu_oom" if ending == "memory" else "diverged"
            studies.set_trial_attributes(self._study, number, {attributes.REASON: reason})
            studies.tell_infeasible(self._study, number)
            return
        if best is not None:
            facts = {attributes.BEST_EPOCH: best[0], attributes.BEST_VALUE: best[1]}
            studies.set_trial_attributes(self._study, number, facts)
        if ending == "complete":
            studies.set_trial_attributes(self._study, number, {attributes.END: "its last epoch"})
        state = TrialState.COMPLETE if ending == "complete" else TrialState.PRUNED
        studies.tell(self._study, number, state, best[1] if best and ending == "complete" else None)


def _schedule(method: Method, problem: Problem, configs: int, seed: int) -> Schedule:
    """As for a study whose learning rates do not depend on the epochs, so that a training that is resumed is exact.

    No problem here knows what a training does that goes on with other values, as population based training asks.
    """
    eta = int(config.KEYS["reduction_factor"].default)
    terms = Terms(
        configs=configs,
        epochs=problem.epochs,
        maximize=problem.metric.maximizes,
        resumes=True,
        min_epochs=default_min_epochs(problem.epochs, eta),
        reduction=eta,
        seed=seed,
    )
    return Schedule(algorithms.ALGORITHMS[method.sampler].schedule, terms)


def timed_ask(session: Session) -> tuple[Begin | None, float]:
    """As `Session.ask`, with the seconds it took."""
    began = time.perf_counter()
    begin = session.ask()
    return begin, time.perf_counter() - began
