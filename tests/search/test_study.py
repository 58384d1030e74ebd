from __future__ import annotations

import math
import subprocess
import sys
import warnings
from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from tao_automl.errors import StudyError, UsageError
from tao_automl.search import attributes, study
from tao_automl.tao.metric import Direction, Metric

# ---- the storage


def test_reading_never_creates_a_file(url, tmp_path):
    for read in (study.open_readonly, lambda text: study.open_storage(text, create=False)):
        with pytest.raises(StudyError, match="does not exist"):
            read(url)
    assert list(tmp_path.iterdir()) == []


def test_a_new_storage_makes_its_folder(tmp_path, metric, space, made):
    deep = tmp_path / "a" / "b {c} %d" / "studies.db"
    made(study.open_storage(f"sqlite:///{deep}"), metric, space)
    assert study.names(study.open_readonly(f"sqlite:///{deep}")) == ("first",)


def test_an_unknown_database_is_named_without_a_traceback():
    with pytest.raises(StudyError, match=r"cannot use the storage nonsense://x"):
        study.open_storage("nonsense://x")


def test_two_drivers_may_start_in_an_empty_folder_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from tao_automl.search import study;"
        "study.open_storage(sys.argv[1]); print(len(study.names(study.open_readonly(sys.argv[1]))))"
    )
    url = f"sqlite:///{tmp_path / 'new' / 'studies.db'}"
    starts = [
        subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [start.communicate() for start in starts] == [("0\n", "")] * 4
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["studies.db"]


# ---- a study


def test_a_study_is_created_once_and_found_again(url, metric, space, made):
    storage = study.open_storage(url)
    created = made(storage, metric, space)
    assert created.direction.name == "MAXIMIZE"
    assert created.metric_names == ["val_mAP50"]
    assert created.user_attrs[attributes.SEED] == 7
    with pytest.raises(StudyError, match="there is a study 'first' already"):
        made(storage, metric, space)
    with pytest.raises(StudyError) as raised:
        study.load(storage, "frist")
    assert raised.value.message == "there is no study 'frist'"
    assert "'first'" in raised.value.tip


def test_an_unknown_algorithm_is_refused_before_anything_is_stored(url, metric, space, made):
    storage = study.open_storage(url)
    with pytest.raises(UsageError, match="there is no algorithm 'tep'"):
        made(storage, metric, space, **{attributes.ALGORITHM: "tep"})
    with pytest.raises(UsageError, match="there is no pruner 'medain'"):
        made(storage, metric, space, **{attributes.PRUNER: "medain"})
    assert study.names(storage) == ()


def test_a_study_whose_creation_was_cut_short_is_made_again(metric, space, made):
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="first").enqueue_trial({})
    assert study.names(storage) == ()
    with pytest.raises(StudyError, match="cut short"):
        study.load(storage, "first")
    assert len(study.trials(made(storage, metric, space))) == 1


def test_a_study_that_somebody_else_made_is_never_replaced(metric, space, made):
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="first").optimize(lambda trial: 0.0, n_trials=1)
    with pytest.raises(StudyError, match="already"):
        made(storage, metric, space)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Metric("val_mAP", Direction.MAXIMIZE), "the objective maximize val_mAP50, not maximize val_mAP"),
        (Metric("val_mAP50", Direction.MINIMIZE), "the objective maximize val_mAP50, not minimize val_mAP50"),
        (None, "has another search space"),
    ],
)
def test_another_space_metric_or_direction_is_refused(detr, metric, space, other, message, made):
    created = made(InMemoryStorage(), metric, space)
    study.require_same(created, metric, detr.space())
    with pytest.raises(StudyError) as raised:
        study.require_same(created, other or metric, space if other else detr.space("model.dropout_ratio"))
    assert message in raised.value.message


# ---- ask


def test_the_first_trial_is_the_centre_and_the_others_are_not(detr, metric, space, made):
    created = made(InMemoryStorage(), metric, space)
    number, values = study.ask(created, space)
    assert number == 0
    assert all(values[path] == detr.leaves[path]["default"] for path in values)
    number, others = study.ask(created, space)
    assert number == 1
    assert others != values
    assert [trial.number for trial in study.running(created)] == [0, 1]


def test_what_was_asked_can_be_read_back_from_the_storage(url, metric, space, made):
    created = made(study.open_storage(url), metric, space)
    asked = [study.ask(created, space) for _ in range(3)]
    reader = study.load(study.open_readonly(url), "first")
    assert [space.decode(trial.params) for trial in study.trials(reader)] == [values for _, values in asked]


def test_a_trial_whose_driver_died_while_it_was_asked_is_continued(url, metric, space, made):
    created = made(study.open_storage(url), metric, space)
    uninterrupted = made(study.open_storage(url), metric, space, "other")
    for _ in range(3):
        expected = study.ask(uninterrupted, space)

    class DiedError(Exception):
        pass

    class Dying:
        """Passes some suggestions on and dies."""

        def __init__(self, trial, left):
            self.trial, self.left = trial, left

        def __getattr__(self, name):
            self.left -= 1
            if self.left < 0:
                raise DiedError
            return getattr(self.trial, name)

    study.ask(created, space)
    study.ask(created, space)
    with pytest.raises(DiedError):
        space.suggest(Dying(created.ask(), 3))
    again = study.load(study.open_storage(url, create=False), "first")
    assert len(study.trials(again)[2].params) == 3
    values = study.resume_ask(again, 2, space)
    assert values.keys() == expected[1].keys()
    assert study.resume_ask(again, 2, space) == values
    assert space.decode(study.trials(again)[2].params) == values
    assert len(study.trials(again)) == 3


def test_a_centre_whose_driver_died_before_the_first_suggestion_is_still_the_centre(url, metric, space, made):
    made(study.open_storage(url), metric, space).ask()
    again = study.load(study.open_storage(url, create=False), "first")
    assert study.resume_ask(again, 0, space) == space.decode(space.centre())


def test_the_same_seed_asks_the_same_also_over_a_restart(url, metric, space, made):
    def asked(name, restart):
        storage = study.open_storage(url)
        current = made(storage, metric, space, name)
        values = []
        for step in range(8):
            if restart:
                current = study.load(study.open_storage(url, create=False), name)
            number, proposed = study.ask(current, space)
            values.append(proposed)
            study.tell(current, number, TrialState.COMPLETE, float(step % 3))
        return values

    assert asked("straight", restart=False) == asked("restarted", restart=True)


def test_nothing_is_warned_about(url, metric, space, made):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        created = made(study.open_storage(url), metric, space)
        for _ in range(7):
            number, _ = study.ask(created, space)
            study.report(created, number, {0: 0.1, 1: 0.2})
            study.report(created, number, {0: 0.1, 1: 0.2, 2: 0.3})
            study.should_prune(created, number)
            study.tell(created, number, TrialState.COMPLETE, 0.3)


# ---- report, prune, tell


@pytest.fixture
def asked(metric, space, made):
    created = made(InMemoryStorage(), metric, space)
    study.ask(created, space)
    return created


def test_only_new_epochs_are_stored_and_the_first_value_stays(asked):
    assert study.report(asked, 0, {1: 0.2, 0: 0.1}) == (0, 1)
    assert study.report(asked, 0, {0: 0.9, 1: 0.9, 2: 0.3}) == (2,)
    assert study.trials(asked)[0].intermediate_values == {0: 0.1, 1: 0.2, 2: 0.3}


def test_absent_and_infinite_values_are_not_stored(asked):
    assert study.report(asked, 0, {0: None, 1: math.nan, 2: math.inf, 3: 0.0}) == (3,)


def test_a_finished_trial_takes_no_more_points_and_no_attributes(asked):
    study.tell(asked, 0, TrialState.COMPLETE, 0.4)
    assert study.report(asked, 0, {5: 0.5}) == ()
    study.set_trial_attributes(asked, 0, {attributes.NODE: "b"})
    assert attributes.NODE not in study.trials(asked)[0].user_attrs


def test_telling_twice_changes_nothing(asked):
    assert study.tell(asked, 0, TrialState.COMPLETE, 0.4)
    assert not study.tell(asked, 0, TrialState.FAIL)
    assert study.trials(asked)[0].value == 0.4


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_complete_trial_has_a_finite_value(asked, value):
    with pytest.raises(ValueError, match="cannot be complete"):
        study.tell(asked, 0, TrialState.COMPLETE, value)
    assert study.trials(asked)[0].state == TrialState.RUNNING


def test_a_failed_trial_never_has_a_value(asked):
    study.report(asked, 0, {0: 0.9})
    study.tell(asked, 0, TrialState.FAIL, 0.9)
    assert study.trials(asked)[0].value is None


@pytest.mark.parametrize("restart", [False, True])
def test_an_infeasible_trial_is_learned_from_and_never_the_best(url, metric, space, made, restart):
    created = made(study.open_storage(url), metric, space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (0.4, None, 0.3, None, 0.2):
            number, _ = study.ask(created, space)
            study.report(created, number, {0: value or 0.9})
            if value is None:
                assert study.tell_infeasible(created, number, violation=2.0)
                assert not study.tell_infeasible(created, number)
            else:
                study.tell(created, number, TrialState.COMPLETE, value)
            if restart:
                created = study.load(study.open_storage(url, create=False), "first")
    for reader in (created, study.load(study.open_readonly(url), "first")):
        stored = study.trials(reader)
        assert [trial.state for trial in stored[:2]] == [TrialState.COMPLETE, TrialState.PRUNED]
        assert [dict(trial.constraints) for trial in stored[:2]] == [{}, {"feasible": 2.0}]
        assert [bool(trial.user_attrs.get(attributes.INFEASIBLE)) for trial in stored] == [
            False,
            True,
            False,
            True,
            False,
        ]
        assert reader.best_trial.number == 0


def test_the_sampler_leaves_the_region_of_infeasible_trials(build, metric, made):
    batch = {"dataset.batch_size": {"type": "int", "default": 2, "minimum": 1, "maximum": 64, "automl_enabled": "TRUE"}}
    space = build(batch, "dataset.batch_size=1..64")
    asked = {}
    for learns in (True, False):
        created = made(InMemoryStorage(), metric, space)
        sizes = []
        for _ in range(24):
            number, values = study.ask(created, space)
            sizes.append(values["dataset.batch_size"])
            if sizes[-1] < 16:
                study.tell(created, number, TrialState.COMPLETE, 0.1 + 0.001 * sizes[-1])
            elif learns:
                study.tell_infeasible(created, number)
            else:
                study.tell(created, number, TrialState.FAIL)
        asked[learns] = sum(size >= 16 for size in sizes[4:])
    assert asked[True] < asked[False]


@pytest.mark.parametrize("violation", [0.0, -1.0, math.nan, math.inf])
def test_a_violation_is_above_zero(asked, violation):
    with pytest.raises(ValueError, match="cannot be infeasible"):
        study.tell_infeasible(asked, 0, violation)
    assert study.trials(asked)[0].state == TrialState.RUNNING


def test_a_trial_that_does_not_exist_is_named(asked):
    with pytest.raises(StudyError, match="the study 'first' has no trial 3"):
        study.report(asked, 3, {})


def test_the_pruner_of_the_study_judges_by_its_epochs(metric, space, made):
    created = made(InMemoryStorage(), metric, space)
    for _ in range(4):
        number, _ = study.ask(created, space)
        study.report(created, number, {epoch: 0.1 * epoch for epoch in range(10)})
        study.tell(created, number, TrialState.COMPLETE, 0.9)
    number, _ = study.ask(created, space)
    assert not study.should_prune(created, number)
    study.report(created, number, {0: 0.0, 1: 0.0})
    assert not study.should_prune(created, number)
    study.report(created, number, {5: 0.0})
    assert study.should_prune(created, number)
    study.tell(created, number, TrialState.PRUNED)
    assert not study.should_prune(created, number)


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(st.dictionaries(st.integers(0, 5), st.one_of(st.none(), st.floats(allow_nan=True))), max_size=5)
)
def test_however_points_arrive_the_first_finite_value_of_an_epoch_is_stored(detr, batches, made):
    space = detr.space()
    created = made(InMemoryStorage(), Metric("m", Direction.MINIMIZE), space)
    study.ask(created, space)
    expected: dict[int, float] = {}
    for points in batches:
        study.report(created, 0, points)
        for epoch, value in points.items():
            if value is not None and math.isfinite(value):
                expected.setdefault(epoch, value)
    assert study.trials(created)[0].intermediate_values == expected
