"""What a study tries first: the user's points, and the best of earlier studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tao_automl import driver, studyfile
from tao_automl import plan as plans
from tao_automl.errors import AutoMLError, StudyError, UsageError
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tao_automl.search.study import TrialState
from tests.fakes.tiny import NOW, plan, settings

LR = "train.optim.lr"


def run(made: Plan, *scores: float, model: str = "tiny") -> studies.Study:
    """The study of a plan in its storage; a trial for each score, asked and told."""
    storage = studies.open_storage(made.storage_url, create=True)
    known = {attributes.MODEL: model, attributes.EPOCHS: made.epochs, **made.start.attributes}
    study = studies.create(storage, made.name, made.metric, made.space, attributes=known)
    for score in scores:
        number, values = studies.ask(study, made.space)
        studies.set_trial_attributes(study, number, {attributes.VALUES: values})
        studies.tell(study, number, TrialState.COMPLETE, score)
    return study


def asked(study: studies.Study, made: Plan, count: int) -> list[dict[str, Any]]:
    return [studies.ask(study, made.space)[1] for _ in range(count)]


def refused(tmp_path: Path, **flags: Any) -> AutoMLError:
    with pytest.raises(AutoMLError) as raised:
        plan(tmp_path, **flags)
    return raised.value


def test_named_points_come_after_the_defaults_in_their_order(tmp_path):
    made = plan(tmp_path, point=[f"{LR}=3e-4", f"{LR}=3e-4", f"{LR}=5e-4"])
    first = asked(run(made), made, 3)
    assert [values[LR] for values in first] == [made.space.decode(made.space.centre())[LR], 3e-4, 5e-4]


@pytest.mark.parametrize("points", [[{LR: 3e-4}], {LR: "3e-4"}, f"{LR}=3e-4"])
def test_a_point_is_the_same_in_a_file_and_as_a_flag_and_stays_with_the_study(tmp_path, points):
    made = plan(tmp_path, point=points)
    assert made.start.points[0]["params"][LR] == 3e-4
    made.paths.folder.mkdir(parents=True)
    studyfile.freeze(made.settings, made.name, made.paths.study_file, NOW)
    assert studyfile.thaw(made.paths, made.studies.folder)["point"] == made.settings["point"]


def test_more_points_than_trials_are_refused(tmp_path):
    error = refused(tmp_path, point=[f"{LR}=3e-4", f"{LR}=4e-4"], trials=2)
    assert isinstance(error, UsageError)
    assert "--trials 3" in error.tip


def test_a_point_of_a_study_that_searches_nothing_is_refused(tmp_path):
    assert "nothing is searched" in refused(tmp_path, point=f"{LR}=3e-4", automl_policy="off").message


def test_a_warm_start_ranks_the_old_trials_and_tries_the_best(tmp_path):
    old = plan(tmp_path, name="old", point=[f"{LR}=3e-4", f"{LR}=5e-4"])
    run(old, 0.1, 0.9, 0.2)
    made = plan(tmp_path, name="new", warm_start="old", trials=20)
    assert [point["source"] for point in made.start.points] == ["old/1"]
    assert (made.start.carried[0].trials, made.start.carried[0].used) == (3, 3)
    study = run(made)
    assert [(entry["quantile"], entry["params"][LR]) for entry in study.user_attrs[attributes.WARM]] == [
        (0.0, 3e-4),
        (0.5, 5e-4),
        (1.0, made.space.centre()[LR]),
    ]
    assert asked(study, made, 2)[1][LR] == 3e-4


@pytest.mark.parametrize("form", ["{folder}/old", "{folder}/studies.db#old", "sqlite:///{folder}/studies.db#old"])
def test_the_old_study_may_lie_elsewhere(tmp_path, form):
    old = plan(tmp_path, name="old", studies_dir=str(tmp_path / "elsewhere"))
    run(old, 0.1)
    made = plan(tmp_path, name="new", warm_start=form.format(folder=tmp_path / "elsewhere"))
    assert made.start.carried[0].used == 1


def test_a_study_of_another_model_is_refused(tmp_path):
    run(plan(tmp_path, name="old"), 0.1, model="other")
    error = refused(tmp_path, name="new", warm_start="old")
    assert isinstance(error, StudyError)
    assert "is of the model other, not tiny" in error.message


def test_a_study_without_a_finished_trial_is_refused(tmp_path):
    run(plan(tmp_path, name="old"))
    assert "no finished trial" in refused(tmp_path, name="new", warm_start="old").message
    assert "no study 'odl'" in refused(tmp_path, name="new", warm_start="odl").message


def test_resume_does_not_read_the_old_study_again(tmp_path):
    run(plan(tmp_path, name="old"), 0.1)
    made = plan(tmp_path, name="new", warm_start="old")
    study = run(made)
    made.paths.folder.mkdir(parents=True)
    studyfile.freeze(made.settings, made.name, made.paths.study_file, NOW)
    studies.open_storage(made.storage_url, create=False).delete_study(1)  # the old one
    again = driver.plan_of("new", made.studies.folder, {})
    assert again.settings["warm_start"] == ["old"]
    studies.require_same(studies.load(studies.open_storage(made.storage_url), "new"), again.metric, again.space)
    assert study.user_attrs[attributes.WARM]


def test_a_plan_with_a_warm_start_changes_nothing_on_disk(tmp_path):
    run(plan(tmp_path, name="old"), 0.1)
    asked_for = settings(tmp_path, name="new", warm_start="old")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    plans.prepare(asked_for, NOW)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
