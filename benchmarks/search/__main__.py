"""How good the search is, measured against Optuna's samplers. docs/benchmarks.md explains it.

python -m benchmarks.search --problems dino,hpobench --methods random,tpe,our:default --seeds 10 --trials 20
python -m benchmarks.search --short
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.search import asks, docs, figures, kept, picture, problems, table
from benchmarks.search.figures import Setting
from benchmarks.search.loop import Task
from benchmarks.search.methods import Method
from benchmarks.search.picture import Sheet
from benchmarks.search.score import Results

METHODS = "random,tpe,tpe+default,our:default"
_SHORT = ["--problems", ",".join(problems.SHORT), "--seeds", "3", "--trials", "12"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked and prints what came of it; 1 if a figure was asked for and is not reached."""
    parser = _parser()
    given = sys.argv[1:] if arguments is None else list(arguments)
    asked = parser.parse_args([*_SHORT, *given] if "--short" in given else given)
    if asked.figures:
        asked.at, asked.trials = [*asked.at, asked.trials], figures.TRIALS
    names = problems.select(asked.problems)
    methods = _usable([Method.parse(name) for name in asked.methods.split(",")])
    setting = Setting(names, asked.seeds, asked.own, asked.pruned)
    wanted = dict.fromkeys(_tasks(asked, names, methods))
    if asked.figures:
        wanted |= dict.fromkeys(figures.tasks(setting))
    runs = kept.collect(wanted, asked.jobs, asked.cache, _say if sys.stderr.isatty() else _say_nothing)
    results = Results(runs)
    shown = [method.name for method in methods]
    tables = {count: table.summary(results, shown, names, asked.seeds, count) for count in _counts_of(asked)}
    for count, rows in tables.items():
        print(f"\nregret after the epochs of {count} trainings ({asked.seeds} seeds, {len(names)} problems)")
        print(table.text(rows))
    reached = []
    if asked.figures:
        reached = [*figures.measure(setting, results), *asks.figures(Method.parse(asked.own), names[0])]
        print("\nfigures", *reached, sep="\n")
    if asked.output:
        table.write(asked.output, runs, tables[asked.trials])
    if asked.picture:
        picture.draw(Sheet(results, shown, names, asked.seeds, asked.trials), asked.picture)
    if asked.docs:
        docs.write(asked.docs, given, tables, reached)
    return 0 if all(figure.holds for figure in reached) else 1


def _tasks(asked: argparse.Namespace, names: Sequence[str], methods: Sequence[Method]) -> Iterator[Task]:
    for name in names:
        for method in methods:
            if method.fits(problems.build(name)):
                for seed in range(asked.seeds):
                    for workers in asked.workers:
                        yield Task(method.name, name, seed, asked.trials, workers)


def _usable(methods: Sequence[Method]) -> list[Method]:
    for method in methods:
        if not method.usable():
            print(f"left out: {method.name} needs torch, which is not installed", file=sys.stderr)
    return [method for method in methods if method.usable()]


def _counts_of(asked: argparse.Namespace) -> list[int]:
    return sorted({count for count in asked.at if count < asked.trials} | {asked.trials})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--problems", default="all", help="names or families, with commas (default: all)")
    add("--methods", default=METHODS, help=f"with commas (default: {METHODS})")
    add("--seeds", type=int, default=10)
    add("--trials", type=int, default=20, help="full trainings that a search may spend (default: 20)")
    add("--at", type=_counts, default=[], help="show the regret after so many trainings, too, with commas")
    add("--workers", type=_counts, default=[1], help="trials side by side, with commas; tables show one (default: 1)")
    add("--jobs", type=int, default=1, help="processes that do the runs")
    add("--cache", type=Path, metavar="FILE", help="keep runs there, and do none twice")
    add("--output", type=Path, metavar="FOLDER", help="write summary.json and runs.csv there")
    add("--picture", type=Path, metavar="FILE.png", help="draw regret against epochs")
    add("--figures", action="store_true", help=f"measure the figures too; all runs then have {figures.TRIALS} trials")
    add("--own", default="our:default+none", help="the method that figures judge (default: our:default+none)")
    add("--pruned", default="our:default", help="the same with its pruner (default: our:default)")
    add("--docs", type=Path, metavar="FILE.md", help="write tables and figures between its marks")
    add("--short", action="store_true", help="three problems, three seeds, twelve trials; other flags win")
    return parser


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _say(done: int, total: int) -> None:
    print(f"\r{done} of {total} runs", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _say_nothing(_done: int, _total: int) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
