"""How good the search is, measured against Optuna's samplers. docs/benchmarks.md explains it.

python -m benchmarks.search --problems dino,hpobench --methods random,tpe,our:default --seeds 10 --trials 20
python -m benchmarks.search --short
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.search import kept, problems, table
from benchmarks.search.loop import Task
from benchmarks.search.methods import Method

METHODS = "random,tpe,tpe+default,our:default"


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    names = problems.SHORT if asked.short else problems.select(asked.problems)
    methods = [Method.parse(name) for name in asked.methods.split(",")]
    for method in methods:
        if not method.usable():
            print(f"left out: {method.name} needs torch, which is not installed", file=sys.stderr)
    methods = [method for method in methods if method.usable()]
    seeds, trials = (3, 12) if asked.short else (asked.seeds, asked.trials)
    tasks = [
        Task(method.name, name, seed, trials, workers)
        for name in names
        for method in methods
        if method.fits(problems.build(name))
        for seed in range(seeds)
        for workers in asked.workers
    ]
    runs = kept.collect(tasks, asked.jobs, asked.cache, _say if sys.stderr.isatty() else _say_nothing)
    first = [run for run in runs if run.task.workers == asked.workers[0]]
    for count in sorted({*asked.at, trials}):
        if count <= trials:
            print(
                f"\nnormalised regret after the epochs of {count} full trainings, {seeds} seeds, {len(names)} problems"
            )
            rows = table.summary(first, [method.name for method in methods], count)
            print(table.text(rows))
    if asked.output:
        table.write(asked.output, runs, rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", default="all", help="names or families, with commas (default: all)")
    parser.add_argument("--methods", default=METHODS, help=f"with commas (default: {METHODS})")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=20, help="full trainings that a search may spend")
    parser.add_argument("--at", type=_counts, default=[], help="also the regret after so many trials, with commas")
    parser.add_argument("--workers", type=_counts, default=[1], help="trials side by side, with commas")
    parser.add_argument("--jobs", type=int, default=1, help="processes that do the runs")
    parser.add_argument("--cache", type=Path, help="a file in which runs are kept, to go on later")
    parser.add_argument("--output", type=Path, help="a folder for summary.json and runs.csv")
    parser.add_argument("--short", action="store_true", help="three problems, three seeds, twelve trials")
    return parser


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _say(done: int, total: int) -> None:
    print(f"\r{done} of {total} runs", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _say_nothing(_done: int, _total: int) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
