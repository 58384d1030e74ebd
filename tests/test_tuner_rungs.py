"""Trials that go on from others, on machines with a clock of their own."""

from __future__ import annotations

import itertools

import pytest

from tao_automl.errors import UsageError
from tao_automl.search import attributes
from tao_automl.tao import spec as spec_file
from tests.fakes.cluster import Script
from tests.fakes.continuing import bench, continuing, worth
from tests.fakes.storage import Killed
from tests.fakes.tiny import SKILL, Bench


def train_spec(made: Bench, number: int) -> dict:
    return spec_file.load(made.plan.paths.attempt(number, 1).spec.read_text())["train"]


def promotions(made: Bench) -> list:
    return [trial for trial in made.trials if trial.user_attrs.get(attributes.KIND) == "promoted"]


@pytest.fixture(scope="module")
def asha(tmp_path_factory) -> Bench:
    """Nine configs and what was promoted of them: rungs at 1, 3 and 9 epochs."""
    made = bench(continuing(tmp_path_factory.mktemp("asha"), trials=9, algorithm="asha", min_epochs=1))
    made.outcome = made.run()
    return made


def test_asha_starts_as_many_configs_as_asked_and_promotes_the_best_of_them(asha):
    configs = [trial for trial in asha.trials if trial.user_attrs.get(attributes.PARENT) is None]
    assert len(configs) == 9
    assert asha.outcome.reason == "the budget of 9 trials is used"
    assert not asha.outcome.interrupted
    budgets = [trial.user_attrs.get(attributes.BUDGET, 9) for trial in asha.trials]
    assert budgets[0] == 9, "the launched config is trained for all epochs"
    assert budgets.count(1) == 8
    assert budgets.count(3) >= 2
    assert len(promotions(asha)) == len(asha.trials) - 9


def test_what_ended_at_a_rung_is_pruned_there_and_a_full_training_complete(asha):
    for trial in asha.trials:
        budget = trial.user_attrs.get(attributes.BUDGET, 9)
        assert trial.state.name == ("COMPLETE" if budget == 9 else "PRUNED")
        assert max(trial.intermediate_values) == budget - 1
        rate = trial.user_attrs[attributes.VALUES]["train.optim.lr"]
        expected = {epoch: worth(rate, epoch) for epoch in range(budget)}
        assert trial.intermediate_values == expected, "its curve has its parent's"


def test_a_promotion_resumes_from_the_exact_last_checkpoint_of_its_parent(asha):
    assert promotions(asha)
    for trial in promotions(asha):
        parent = asha.trials[trial.user_attrs[attributes.PARENT]]
        assert trial.params == parent.params
        ended = parent.user_attrs[attributes.BUDGET]
        train = train_spec(asha, trial.number)
        folder = asha.plan.paths.attempt(parent.number, 1).folder
        assert train["resume_training_checkpoint_path"] == str(
            folder / f"train/model_epoch_{ended - 1:03d}_step_{ended * 10:05d}.pth"
        )
        assert train["num_epochs"] == trial.user_attrs[attributes.BUDGET]
        assert train["optim"]["lr_steps"] == [8], "a schedule that ignores the length is cut off as it is"
        assert train["checkpoint_interval"] <= train["num_epochs"]


def test_at_the_end_only_the_checkpoints_of_the_best_stay(asha):
    stored = sorted(
        path.relative_to(asha.plan.paths.folder).as_posix() for path in asha.plan.paths.trials.rglob("model_epoch_*")
    )
    best = sorted(asha.trials, key=lambda trial: (-trial.user_attrs[attributes.BEST_VALUE], trial.number))
    wanted = {trial.user_attrs[attributes.CHECKPOINT] for trial in best[:3]}
    assert wanted <= set(stored)
    assert len(stored) <= 3 + 4, "and of those that were never promoted, but might have been"


def test_a_schedule_that_knows_its_length_is_rescaled_and_promoted_from_the_beginning(tmp_path):
    flags = {"set": "train.optim.lr_scheduler=cosine", "trials": 6, "algorithm": "asha", "min_epochs": 3}
    made = bench(continuing(tmp_path, **flags))
    made.run()
    assert promotions(made)
    for trial in made.trials[1:]:
        train = train_spec(made, trial.number)
        budget = trial.user_attrs[attributes.BUDGET]
        assert train["resume_training_checkpoint_path"] == ""
        assert attributes.START not in trial.user_attrs
        assert (train["num_epochs"], train["optim"]["warmup_epochs"]) == (budget, {3: 1, 9: 2}[budget])


def test_a_checkpoint_that_is_gone_lets_the_promotion_begin_anew(tmp_path):
    made = bench(continuing(tmp_path, trials=9, algorithm="asha", min_epochs=1, parallel=1))
    made.tuner.adopt()
    while not promotions(made):
        made.ticks(1)
        for path in made.plan.paths.trials.rglob("model_epoch_*"):
            path.unlink()
    (first,) = promotions(made)
    assert attributes.START not in first.user_attrs or first.user_attrs[attributes.START] == "fresh"
    assert train_spec(made, first.number)["resume_training_checkpoint_path"] == ""
    made.run()
    assert {trial.state.name for trial in made.trials} <= {"COMPLETE", "PRUNED"}


def test_a_config_that_ran_with_half_its_batch_goes_on_with_it(tmp_path):
    flags = {"trials": 9, "algorithm": "asha", "min_epochs": 3, "set": "dataset.batch_size=2"}
    made = bench(continuing(tmp_path, **flags))
    trainer, oom = made.machines.script_of, Script([], exit_code=1, finishes=False, log="CUDA out of memory")
    made.machines.script_of = lambda job: (
        oom if job.id.endswith("-1") and "s-0000" < job.id < "s-0009" else trainer(job)
    )
    made.run()
    promoted = promotions(made)[0]
    assert promoted.user_attrs[attributes.CHANGED] == {"dataset.batch_size": 1}
    spec = spec_file.load(made.plan.paths.attempt(promoted.number, 1).spec.read_text())
    assert spec["dataset"]["batch_size"] == 1


# Hyperband


def test_hyperband_promotes_when_all_of_a_rung_have_ended(tmp_path):
    made = bench(continuing(tmp_path, trials=14, algorithm="hyperband", min_epochs=1))
    assert made.run().reason == "the budget of 14 trials is used"
    configs = [trial for trial in made.trials if trial.user_attrs.get(attributes.PARENT) is None]
    assert [trial.user_attrs.get(attributes.BUDGET, 9) for trial in configs] == [9] + [1] * 9 + [3] * 4
    first = [trial.number for trial in configs[1:10]]
    promoted = [trial for trial in promotions(made) if trial.user_attrs[attributes.PARENT] in first]
    assert len(promoted) == 3
    best = sorted(configs[1:10], key=lambda trial: -trial.user_attrs[attributes.BEST_VALUE])[:3]
    assert {trial.user_attrs[attributes.PARENT] for trial in promoted} == {trial.number for trial in best}
    last = max(made.trials[number].datetime_complete for number in first)
    assert all(trial.datetime_start >= last for trial in promoted)


# Population based training


@pytest.fixture(scope="module")
def pbt(tmp_path_factory) -> Bench:
    """Six members, generations that end at 3, 6 and 9 epochs."""
    flags = {"trials": 6, "algorithm": "pbt", "pbt_interval": 3}
    made = bench(continuing(tmp_path_factory.mktemp("pbt"), **flags))
    made.outcome = made.run()
    return made


def generation(made: Bench, end: int) -> list:
    return [trial for trial in made.trials if trial.user_attrs.get(attributes.BUDGET) == end]


def test_each_generation_of_pbt_has_all_members_and_ends_at_its_epoch(pbt):
    assert [len(generation(pbt, end)) for end in (3, 6, 9)] == [6, 6, 6]
    assert pbt.outcome.reason == "the budget of 6 trials is used"
    assert {trial.state.name for trial in generation(pbt, 6)} == {"PRUNED"}
    assert {trial.state.name for trial in generation(pbt, 9)} == {"COMPLETE"}
    for end in (3, 6, 9):
        assert all(sorted(trial.intermediate_values) == list(range(end)) for trial in generation(pbt, end))


def test_the_worst_member_takes_over_weights_of_the_best_with_other_values(pbt):
    for end, before in ((6, 3), (9, 6)):
        own = {
            trial.number: max(value for epoch, value in trial.intermediate_values.items() if epoch >= before - 3)
            for trial in generation(pbt, before)
        }
        order = sorted(own, key=lambda number: (-own[number], number))
        explored = [trial for trial in generation(pbt, end) if trial.user_attrs[attributes.KIND] == "explored"]
        (child,) = explored
        donor = pbt.trials[order[0]]
        assert child.user_attrs[attributes.PARENT] == donor.number
        assert child.params != donor.params
        train = train_spec(pbt, child.number)
        assert train["pretrained_model_path"] == str(pbt.plan.paths.folder / donor.user_attrs[attributes.END])
        assert (train["num_epochs"], train["resume_training_checkpoint_path"]) == (3, ""), "with a fresh optimizer"
        assert train["optim"]["lr_steps"] == [8 - before]
        others = {trial.user_attrs[attributes.PARENT] for trial in generation(pbt, end)} - {donor.number}
        assert others | {donor.number} == set(order[:-1])


def test_the_others_go_on_exactly_as_they_are(pbt):
    kept = [trial for trial in pbt.trials if trial.user_attrs.get(attributes.KIND) == "promoted"]
    assert len(kept) == 10
    for trial in kept:
        assert trial.params == pbt.trials[trial.user_attrs[attributes.PARENT]].params
        assert train_spec(pbt, trial.number)["resume_training_checkpoint_path"].endswith(".pth")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"algorithm": "pbt", "trials": 3}, "a population of 3"),
        ({"algorithm": "pbt", "trials": 6, "pbt_interval": 9}, "an interval of 9 leaves 9 epochs"),
        ({"algorithm": "asha", "trials": 3}, "asha promotes one of 3 trials besides trial 0, and there are 3"),
        ({"algorithm": "asha", "trials": 9, "epochs": 1}, "1 epochs give no rung"),
        ({"algorithm": "hyperband", "trials": 9, "min_epochs": 1}, "the first bracket needs 10 trials"),
        ({"algorithm": "pbt", "trials": 6, "skill_dir": str(SKILL)}, "the skill names no key"),
        ({"algorithm": "bogus"}, "there is no algorithm 'bogus'"),
    ],
)
def test_what_an_algorithm_cannot_do_is_refused_before_anything_starts(tmp_path, flags, message):
    with pytest.raises(UsageError, match=message):
        continuing(tmp_path, **flags)


KILLED = [
    (19, {"trials": 5, "algorithm": "asha", "min_epochs": 3, "parallel": 1}),
    (31, {"trials": 4, "algorithm": "pbt", "pbt_interval": 5, "parallel": 1}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "flags"), KILLED, ids=["asha", "pbt"])
def test_a_driver_may_die_before_any_effect_and_the_next_one_proposes_the_same(tmp_path, step, flags):
    """It ends the study with the same trials, whenever it was. One effect of `step`, because all take minutes."""
    expected = None
    for effects in itertools.count(0, step):
        made = bench(continuing(tmp_path, studies_dir=str(tmp_path / str(effects)), **flags))
        made.fuse.left = effects if expected is not None else None
        try:
            made.run(10.0)
        except Killed:
            made.fuse.left = None
            made.new_driver()
            made.run(10.0)
        else:
            if expected is not None:
                break
        found = [(trial.user_attrs.get("parent"), trial.user_attrs.get("budget")) for trial in made.trials]
        configs = [trial.params for trial in made.trials if trial.user_attrs.get("parent") is None]
        expected = expected or (found, configs)
        if configs == expected[1]:  # else it died while it was sampling, and the rest was drawn by another driver
            assert found == expected[0], f"killed before effect {effects}"
        assert len(configs) == flags["trials"]
        assert all(trial.state.is_finished() for trial in made.trials)
        assert sorted(made.storage.told) == [trial.number for trial in made.trials], "told once each"
        assert len(made.machines.jobs) == len(made.trials), "one attempt each"
    assert effects > 50
