from __future__ import annotations

import math
import subprocess
import sys
import threading

import optuna
import pytest
from optuna.trial import TrialState

from tao_automl.search import attributes, study
from tao_automl.tao.metric import Direction, Metric


def test_the_readonly_storage_tells_the_same_as_optunas(url, metric, space, made):
    storage = study.open_storage(url)
    first = made(storage, metric, space)
    made(storage, Metric("val_loss", Direction.MINIMIZE), space, "second")
    for _ in range(4):
        number, _ = study.ask(first, space)
        study.report(first, number, {0: 0.1, 3: 0.25 * number})
        study.set_trial_attributes(first, number, {attributes.NODE: "a", attributes.ATTEMPT: 1})
    study.tell(first, 0, TrialState.COMPLETE, 0.5)
    study.tell(first, 1, TrialState.PRUNED)
    study.tell(first, 2, TrialState.FAIL)
    optuna.load_study(study_name="first", storage=storage).enqueue_trial({"x": math.inf})
    plain = optuna.create_study(study_name="plain", storage=storage)
    plain.add_trial(optuna.trial.create_trial(value=math.inf, intermediate_values={0: math.nan, 1: -math.inf}))

    reader = study.open_readonly(url)
    assert study.names(reader) == ("first", "second")
    for name in ("first", "second", "plain"):
        ours = optuna.load_study(study_name=name, storage=reader)
        theirs = optuna.load_study(study_name=name, storage=storage)
        assert ours.direction == theirs.direction
        assert ours.user_attrs == theirs.user_attrs
        assert ours.metric_names == theirs.metric_names
        assert [repr(trial) for trial in ours.trials] == [repr(trial) for trial in theirs.trials]
    assert reader.get_trial(1) == storage.get_trial(1)
    assert reader.get_study_name_from_id(2) == "second"


def test_the_readonly_storage_cannot_write(url, metric, space, made):
    made(study.open_storage(url), metric, space)
    reader = study.load(study.open_readonly(url), "first")
    with pytest.raises(PermissionError):
        reader.set_user_attr("x", 1)
    with pytest.raises(PermissionError):
        reader.enqueue_trial({})


_WRITER = """
import sys
from optuna.trial import TrialState
import optuna
study = optuna.load_study(study_name="first", storage=sys.argv[1])
for step in range(60):
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 0)
    study.tell(trial, 0.5)
"""


def test_readers_and_a_writing_process_do_not_trip_over_each_other(url, metric, space, made):
    storage = study.open_storage(url)
    made(storage, metric, space)
    with subprocess.Popen([sys.executable, "-c", _WRITER, url], stderr=subprocess.PIPE) as writer:
        seen = []
        driver = study.load(storage, "first")
        while writer.poll() is None:
            seen.append(len(study.trials(study.load(study.open_readonly(url), "first"))))
            study.set_study_attributes(driver, {"note": len(seen)})
        assert writer.stderr is not None
        assert (writer.returncode, writer.stderr.read()) == (0, b"")
    assert seen == sorted(seen)
    assert len(study.trials(driver)) == 60  # the waiting trial 0 among them


def test_two_threads_of_one_process_may_read_at_once(url, metric, space, made):
    made(study.open_storage(url), metric, space)
    reader = study.load(study.open_readonly(url), "first")
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(len(study.trials(reader)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1, 1, 1, 1]
