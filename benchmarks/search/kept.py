"""Runs, kept in a file so that a long comparison goes on where it was cut short, and done by several processes."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path

from benchmarks.search.loop import Run, Task, run
from benchmarks.search.methods import Method


@lru_cache
def _code(method: str) -> str:
    return Method.parse(method).code()


def collect(tasks: Iterable[Task], jobs: int, cache: Path | None, progress: Callable[[int, int], None]) -> list[Run]:
    """A run for each task, in their order; those that the file has for the same code are not done again."""
    wanted = list(tasks)
    known = _read(cache)
    missing = [task for task in wanted if (_code(task.method), task) not in known]
    done = len(wanted) - len(missing)
    progress(done, len(wanted))
    # Of one problem one after the other: building some takes seconds, and each process keeps a few.
    missing.sort(key=lambda task: (task.problem, task.seed))
    for found in _run(missing, jobs):
        known[_code(found.task.method), found.task] = found
        done += 1
        progress(done, len(wanted))
        if cache is not None:
            with cache.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps({"code": _code(found.task.method), **found.as_dict()}) + "\n")
    return [known[_code(task.method), task] for task in wanted]


def _run(tasks: list[Task], jobs: int) -> Iterable[Run]:
    if jobs == 1 or len(tasks) < 2:
        yield from map(run, tasks)
        return
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for future in as_completed([pool.submit(run, task) for task in tasks]):
            yield future.result()


def _read(cache: Path | None) -> dict[tuple[str, Task], Run]:
    if cache is None or not cache.exists():
        return {}
    found = {}
    for line in cache.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        kept = Run.of(entry)
        found[entry["code"], kept.task] = kept
    return found
