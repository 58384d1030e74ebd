"""How long skills take: to read, to make a search space of, and to check whole; processor time, median of N.

python benchmarks/skills.py [--skill-dir DIR] [--times 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from tao_automl import soundness
from tao_automl.layout import skills_dir
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao.bank import Bank
from tao_automl.tao.skill import Skill


def milliseconds(action: Callable[[], object], times: int) -> float:
    """The median processor time of an action in this process."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        action()
        taken.append(time.process_time() - began)
    return statistics.median(taken) * 1000


def space(known: Skill) -> SearchSpace:
    """From the files of training to what would be searched, as a run does it."""
    template = known.template("train")
    return SearchSpace.build(known.schema("train"), template, known.facts.search, Overrides({}, {}), Limits(epochs=10))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--skill-dir", type=Path, default=skills_dir())
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    bank = Bank.of(arguments.skill_dir)
    skills, _broken = bank.all()
    for known in skills:
        read = milliseconds(lambda known=known: bank.load(known.folder), arguments.times)
        built = milliseconds(lambda known=known: space(known), arguments.times)
        checked = milliseconds(lambda known=known: soundness.check(known.folder, bank.load), arguments.times)
        print(f"{known.model:22} read {read:4.0f} ms, space {built:4.0f} ms, check {checked:5.0f} ms")
    spaces = milliseconds(lambda: [space(known) for known in skills], arguments.times)
    every = milliseconds(lambda: [soundness.check(folder, bank.load) for folder in bank.folders.values()], 1)
    print(f"all {len(skills)}: spaces {spaces:.0f} ms, check {every:.0f} ms")


if __name__ == "__main__":
    main()
