from __future__ import annotations

import sqlite3
from contextlib import closing

from optuna.trial import TrialState

from tao_automl.search import attributes, study


def test_no_two_attributes_share_a_name():
    names = [value for key, value in vars(attributes).items() if key.isupper()]
    assert len(names) > 20
    assert sorted(set(names)) == sorted(names)


def test_the_storage_holds_the_names_that_other_programs_read(url, tmp_path, metric, space, made):
    created = made(study.open_storage(url), metric, space)
    number, _ = study.ask(created, space)
    study.set_trial_attributes(
        created, number, {attributes.ATTEMPT: 1, attributes.REASON: "gpu_oom", attributes.EXIT_CODE: 1}
    )
    study.tell(created, number, TrialState.FAIL)
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection:
        of_study = dict(connection.execute("SELECT key, value_json FROM study_user_attributes"))
        of_trial = dict(connection.execute("SELECT key, value_json FROM trial_user_attributes"))
    assert {"space", "metric", "algorithm", "pruner", "seed", "epochs"} <= set(of_study)
    assert of_study["algorithm"] == '"tpe"'
    assert {key: of_trial[key] for key in ("attempt", "reason", "exit_code")} == {
        "attempt": "1",
        "reason": '"gpu_oom"',
        "exit_code": "1",
    }
