"""The figures that a search is judged by: what is wanted, what was measured, and how sure that is.

Each figure names the runs that it needs, and takes its number from them. `Methods` says which of the methods is
ours, with and without its pruner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.search import score
from benchmarks.search.loop import Run, Task
from benchmarks.search.problems import build, family
from benchmarks.search.score import Array, Cell, Estimate, Results, estimate

TRIALS = 60
_WORKERS = (1, 4, 8)
_TARGET_TRIALS = 40  # a search on one worker sets the level that several workers are to reach
_PRIOR_TRIALS = 20


@dataclass(frozen=True)
class Setting:
    """Which searches are judged, on what. `own` stops nothing early, `pruned` is the same with its pruner."""

    problems: Sequence[str]
    seeds: int
    own: str
    pruned: str

    @property
    def plain(self) -> list[str]:
        """The problems whose centre has not been moved."""
        return [name for name in self.problems if "~" not in name]

    @property
    def curves(self) -> list[str]:
        return [name for name in self.plain if build(name).epochs > 1]

    @property
    def few(self) -> list[str]:
        """One problem of each family, for figures that need several runs of each."""
        return list({family(name): name for name in reversed(self.plain)}.values())[::-1]

    @property
    def known(self) -> list[str]:
        """Of those, the ones whose best config is known, so that a centre can be put near it or far from it."""
        return [name for name in self.few if build(name).best is not None]


@dataclass(frozen=True)
class Figure:
    """What is wanted of one number, and whether it is so. `measured` is None where no problem chosen tells."""

    name: str
    wanted: str
    measured: Estimate | None
    holds: bool

    def __str__(self) -> str:
        said = "not measured" if self.measured is None else str(self.measured)
        return f"{'ok ' if self.holds else '-- '} {self.name}: wanted {self.wanted}, measured {said}"


def tasks(setting: Setting) -> Iterator[Task]:
    """Every run that the figures need."""

    def each(method: str, names: Sequence[str], *workers: int) -> Iterator[Task]:
        for name in names:
            for seed in range(setting.seeds):
                for count in workers or (1,):
                    yield Task(method, name, seed, TRIALS, count)

    for method in (setting.own, "tpe", "random"):
        yield from each(method, setting.plain)
    yield from each(setting.pruned, setting.curves)
    yield from each(setting.own, setting.few, *_WORKERS)
    for centre in ("none", "off", "good"):
        yield from each(setting.own, [f"{name}~{centre}" for name in setting.known])


def measure(setting: Setting, results: Results) -> Iterator[Figure]:
    """All figures but the time of an ask."""
    yield from _few_trials(setting, results)
    yield from _gap(setting, results)
    yield from _pruning(setting, results)
    yield from _prior(setting, results)
    yield from _parallel(setting, results)
    yield from _memory(setting, results)


def _few_trials(setting: Setting, results: Results) -> Iterator[Figure]:
    def curves(name: str, seed: int) -> Cell:
        own, base, luck = (_by_trial(results.run(method, name, seed)) for method in (setting.own, "tpe", "random"))
        return {
            "curve": own,
            "tpe": base[-1],
            "random": luck[-1],
            "own": own[19],
            "base": base[19],
            "behind": own[19] > base[19] + 0.05,
        }

    cells = results.cells(setting.plain, setting.seeds, curves)
    yield _at_most("regret after 20 trials, to TPE's", 0.38, estimate(cells, score.quotient))
    yield _at_most("runs behind TPE by more than .05", 0.05, estimate(cells, lambda means: float(means["behind"])))
    for base, limit in (("tpe", 15), ("random", 6)):
        yield _at_most(f"trials to {base}'s level after {TRIALS}", limit, estimate(cells, _reached(base)))


def _reached(base: str) -> Callable[[dict[str, score.Array]], float]:
    """The first trial at which the mean curve is as low as the mean of `base`."""
    return lambda means: score.first(means["curve"], float(means[base]))


def _gap(setting: Setting, results: Results) -> Iterator[Figure]:
    names = [name for name in setting.plain if family(name) == "dino"]

    def closed(trials: int) -> Callable[[str, int], Cell]:
        def cell(name: str, seed: int) -> Cell:
            problem = build(name)
            launched = problem.regret(problem.worth(problem.space.decode(problem.space.centre())))
            return {"own": 1 - results.run(setting.own, name, seed).after(trials) / launched}

        return cell

    for trials, share in ((20, 0.5), (60, 0.9)):
        label = f"gap from launched to optimum closed after {trials} trials"
        if not names:
            yield Figure(label, f"at least {share:g}", None, False)
            continue
        found = estimate(results.cells(names, setting.seeds, closed(trials)), lambda means: float(means["own"]))
        yield _at_least(label, share, found)


def _pruning(setting: Setting, results: Results) -> Iterator[Figure]:
    def cell(name: str, seed: int) -> Cell:
        pruned, whole = results.run(setting.pruned, name, seed), results.run(setting.own, name, seed)
        full = 20 * whole.epochs
        return {
            "own": pruned.within(full / 3),
            "base": whole.within(full),
            "more": pruned.within(full) - whole.within(full),
        }

    if not setting.curves:
        return
    cells = results.cells(setting.curves, setting.seeds, cell)
    yield _at_most(
        "regret with pruning after a third of the epochs of 20 trainings, to that without",
        1.0,
        estimate(cells, score.quotient),
    )
    worst: tuple[Estimate, str] | None = None
    for kind in dict.fromkeys(map(family, setting.curves)):
        names = [name for name in setting.curves if family(name) == kind]
        found = estimate(results.cells(names, setting.seeds, cell), lambda means: float(means["more"]))
        if worst is None or found.value > worst[0].value:
            worst = found, kind
    assert worst is not None
    label = f"regret that pruning adds at the same epochs, worst family ({worst[1]})"
    yield Figure(label, "none beyond the interval", worst[0], worst[0].low <= 0)


def _prior(setting: Setting, results: Results) -> Iterator[Figure]:
    """The level is what the search without prior has after 20 trials."""
    if not setting.known:
        return

    def cell(name: str, seed: int) -> Cell:
        return {
            centre: _by_trial(results.run(setting.own, f"{name}~{centre}", seed)) for centre in ("none", "off", "good")
        }

    cells = results.cells(setting.known, setting.seeds, cell)

    def trials(centre: str) -> Callable[[dict[str, Array]], float]:
        return lambda means: score.first(means[centre], float(means["none"][_PRIOR_TRIALS - 1])) / _PRIOR_TRIALS

    yield _at_most("trials with a prior a decade off, to those without prior", 1.25, estimate(cells, trials("off")))
    yield _at_most("trials with a good prior, to those without prior", 0.3, estimate(cells, trials("good")))


def _parallel(setting: Setting, results: Results) -> Iterator[Figure]:
    """Times are in parts of the time that one worker took for all trials; the level is what it had after 40."""
    grid = np.linspace(0, 1, 601)[1:]

    def cell(name: str, seed: int) -> Cell:
        alone = results.run(setting.own, name, seed, 1)
        runs = {count: results.run(setting.own, name, seed, count) for count in _WORKERS}
        end_s = alone.points[-1].end_s
        found: dict[str, object] = {
            str(count): np.array([run.by(part * end_s) for part in grid]) for count, run in runs.items()
        }
        return {**found, "level": alone.after(_TARGET_TRIALS)}

    cells = results.cells(setting.few, setting.seeds, cell)
    for workers, least in ((4, 3.4), (8, 6.0)):

        def faster(means: dict[str, Array], workers: int = workers) -> float:
            level = float(means["level"])
            return score.first(means["1"], level) / score.first(means[str(workers)], level)

        yield _at_least(f"times faster to the same level with {workers} workers", least, estimate(cells, faster))


def _memory(setting: Setting, results: Results) -> Iterator[Figure]:
    names = [name for name in setting.plain if family(name) == "memory"]
    if not names:
        return

    def cell(name: str, seed: int) -> Cell:
        rows = results.run(setting.own, name, seed).rows
        failed = [row.ending == "memory" for row in rows]
        third = [index for index, bad in enumerate(failed) if bad][:3]
        later = failed[third[-1] + 1 :] if len(third) == 3 else []
        configs = [json.dumps(row.config, sort_keys=True) for row in rows if row.ending == "memory"]
        return {"failed": sum(later), "trials": len(later), "repeated": len(configs) - len(set(configs))}

    cells = results.cells(names, setting.seeds, cell)
    share = estimate(cells, lambda means: float(means["failed"] / max(float(means["trials"]), 1e-12)))
    yield _at_most("trials out of memory after the third", 0.1, share)
    yield _at_most("configs repeated after out of memory", 0, estimate(cells, lambda means: float(means["repeated"])))


def _by_trial(run: Run) -> Array:
    return np.array([run.after(count) for count in range(1, TRIALS + 1)])


def _at_most(name: str, limit: float, found: Estimate) -> Figure:
    return Figure(name, f"at most {limit:g}", found, found.value <= limit)


def _at_least(name: str, limit: float, found: Estimate) -> Figure:
    return Figure(name, f"at least {limit:g}", found, found.value >= limit)
