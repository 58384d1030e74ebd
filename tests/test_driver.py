"""Opening, locking and ending a study; the cluster is a fake one, everything else is real."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tao_automl import driver, events, studyfile
from tao_automl import plan as plans
from tao_automl.errors import PlatformError, StudyError
from tao_automl.execution.cluster import Cluster, Room
from tao_automl.layout import StudiesPaths
from tao_automl.lock import StudyLock
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tests.fakes.cluster import FakeCluster, Machines, Script
from tests.fakes.tiny import NOW, plan, settings

GOOD = Script([0.1, 0.3, 0.2])


FLAGS = {"trials": 2, "parallel": 2, "pruner": "none"}


def replace_ray(patch: pytest.MonkeyPatch) -> Machines:
    """What the driver runs its jobs on: an epoch passes whenever it asks how they are."""
    found = Machines(lambda _job: GOOD)

    def cluster(room: Room) -> Cluster:
        made = FakeCluster(found, room.slots)
        made.on_status = lambda: found.advance(GOOD.epoch_s)
        return made

    patch.setattr(driver, "RayCluster", cluster)
    return found


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    return replace_ray(monkeypatch)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Plan]:
    return lambda **flags: plan(tmp_path, **{**FLAGS, **flags})


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of studies with one that has ended."""
    folder = tmp_path_factory.mktemp("ended")
    with pytest.MonkeyPatch.context() as patch:
        replace_ray(patch)
        driver.run(plan(folder, **FLAGS))
    return folder / "studies"


@pytest.fixture
def finished(ended: Path, make: Callable[..., Plan], tmp_path: Path) -> Plan:
    """The same, in a place of its own."""
    shutil.copytree(ended, tmp_path / "studies", symlinks=True)
    return make()


def loaded(made: Plan) -> studies.Study:
    return studies.load(studies.open_storage(made.storage_url, create=False), made.name)


def states(made: Plan) -> list[str]:
    return [trial.state.name for trial in studies.trials(loaded(made))]


def kinds(made: Plan) -> list[str]:
    return [event["event"] for event in events.read(made.paths.events)]


def test_a_run_leaves_a_study_that_tells_what_it_was(machines, make):
    made, heard = make(), []
    outcome = driver.run(made, [heard.append])
    assert (outcome.reason, outcome.interrupted) == ("the budget of 2 trials is used", False)
    assert states(made) == ["COMPLETE", "COMPLETE"]
    assert heard == events.read(made.paths.events)
    assert (kinds(made)[0], kinds(made)[-1]) == ("study_started", "study_finished")
    known = loaded(made).user_attrs
    assert (known[attributes.MODEL], known[attributes.TRIALS], known[attributes.EPOCHS]) == ("tiny", 2, 3)
    thawed = studyfile.thaw(made.paths, made.studies.folder)
    assert thawed.values == {**made.settings.values, "model": "tiny"}


def test_a_resumed_study_goes_on_with_what_it_was_started_with(machines, finished, tmp_path):
    made = finished
    outcome = driver.resume("s", tmp_path / "studies", {"trials": 3, "parallel": None})
    assert outcome.reason == "the budget of 3 trials is used"
    assert states(made) == ["COMPLETE"] * 3
    assert loaded(made).user_attrs[attributes.TRIALS] == 3
    assert kinds(made).count("study_resumed") == 1
    assert sorted(machines.jobs) == ["s-0002-1"]


def test_a_name_is_used_once(machines, finished, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StudyError, match="study 's' exists already") as raised:
        driver.prepare(settings(tmp_path, trials=2), NOW)
    assert raised.value.code == "study-exists"
    assert "tao-automl resume s" in raised.value.tip
    with pytest.raises(StudyError, match="exists already"):
        driver.run(finished)
    with pytest.raises(StudyError, match="has another search space"):
        driver.prepare(settings(tmp_path, search="train.optim.lr=1e-4..2e-4"), NOW)
    with pytest.raises(StudyError, match="has the objective maximize val_mAP50, not minimize val_loss"):
        driver.prepare(settings(tmp_path, metric="val_loss"), NOW)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_without_room_is_refused_before_anything_is_made(tmp_path):
    asked = settings(tmp_path, min_free="900 TiB")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PlatformError, match="GiB free") as raised:
        driver.prepare(asked, NOW)
    assert (raised.value.code, raised.value.exit_code) == ("disk-full", 3)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_study_that_is_driven_is_neither_run_nor_resumed(machines, finished, tmp_path):
    made = finished
    before = made.paths.events.read_bytes()
    with StudyLock(made.paths.lock, "s"), pytest.raises(StudyError, match="is driven by process") as raised:
        driver.resume("s", tmp_path / "studies", {})
    assert raised.value.code == "study-locked"
    assert made.paths.events.read_bytes() == before


def test_an_unknown_study_is_not_resumed(finished, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for name in ("t", "../s"):
        with pytest.raises(StudyError):
            driver.resume(name, tmp_path / "studies", {})
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(StudyError, match="there are no studies"):
        driver.resume("s", tmp_path / "nowhere", {})
    assert not (tmp_path / "nowhere").exists()


def test_a_study_whose_data_changed_its_space_is_not_resumed(machines, finished, tmp_path):
    made = finished
    record = made.paths.study_file
    record.write_text(record.read_text() + "  keep:\n    value: [train.optim.lr]\n    from: flag\n")
    with pytest.raises(StudyError, match="has another search space"):
        driver.resume("s", tmp_path / "studies", {"trials": 3})
    assert states(made) == ["COMPLETE"] * 2


# Stopping


def test_a_stop_is_asked_of_a_driver_that_is_there(finished, tmp_path):
    made = finished
    assert not driver.request_stop("s", tmp_path / "studies", None, at_once=False)
    assert attributes.STOP not in loaded(made).user_attrs
    with StudyLock(made.paths.lock, "s"):
        assert driver.request_stop("s", tmp_path / "studies", None, at_once=False)
        assert loaded(made).user_attrs[attributes.STOP] == "drain"
        assert driver.request_stop("s", tmp_path / "studies", None, at_once=True)
        assert loaded(made).user_attrs[attributes.STOP] == "now"
    with pytest.raises(StudyError, match="there is no study 'tt'"):
        driver.request_stop("tt", tmp_path / "studies", None, at_once=False)


def test_a_resumed_study_forgets_that_it_was_to_stop(machines, finished, tmp_path):
    made = finished
    with StudyLock(made.paths.lock, "s"):
        driver.request_stop("s", tmp_path / "studies", None, at_once=True)
    assert not driver.resume("s", tmp_path / "studies", {"trials": 3}).interrupted
    assert states(made) == ["COMPLETE"] * 3


def interrupting(*signals: int, at: str = "epoch") -> Callable[[Any], None]:
    """A listener that gets this process signals at the first event of a kind."""
    left = list(signals)

    def listen(event: Any) -> None:
        if event["event"] == at:
            while left:
                os.kill(os.getpid(), left.pop(0))

    return listen


def test_the_first_interrupt_lets_active_trials_finish(machines, make, tmp_path):
    made, before = make(trials=2, parallel=1), signal.getsignal(signal.SIGINT)
    outcome = driver.run(made, [interrupting(signal.SIGINT)])
    assert (outcome.reason, outcome.interrupted) == ("interrupted", True)
    assert states(made) == ["COMPLETE"]
    assert signal.getsignal(signal.SIGINT) is before
    assert not driver.resume("s", tmp_path / "studies", {}).interrupted
    assert states(made) == ["COMPLETE"] * 2


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_the_second_interrupt_stops_them_and_resume_starts_them_again(machines, make, tmp_path, signals):
    made = make(trials=1)
    outcome = driver.run(made, [interrupting(*signals)])
    assert outcome.interrupted
    assert (states(made), machines.running) == (["RUNNING"], [])
    assert not driver.resume("s", tmp_path / "studies", {}).interrupted
    assert states(made) == ["COMPLETE"]
    assert sorted(machines.jobs) == ["s-0000-1", "s-0000-2"]


# What a driver that died half way through its start leaves


@pytest.mark.parametrize("where", ["studies.create", "Tuner"])
def test_a_driver_that_dies_while_it_starts_leaves_nothing_in_the_way(machines, make, tmp_path, monkeypatch, where):
    class Dead(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Dead

    made = make(trials=1)
    with monkeypatch.context() as patch:
        patch.setattr(f"tao_automl.driver.{where}", die)
        with pytest.raises(Dead):
            driver.run(made)
    if where == "Tuner":
        driver.resume("s", tmp_path / "studies", {})
    else:
        driver.run(plans.prepare(settings(tmp_path, trials=1), NOW))
    assert states(made) == ["COMPLETE"]


def test_a_driver_killed_by_the_kernel_leaves_its_lock_free(make, tmp_path):
    made = make()
    made.paths.folder.mkdir(parents=True)
    code = """
        import os, sys
        from pathlib import Path
        from tao_automl.lock import StudyLock
        with StudyLock(Path(sys.argv[1]), "s"):
            os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(made.paths.lock)], check=False)
    assert json.loads(made.paths.lock.read_text())["pid"]
    with StudyLock(StudiesPaths(tmp_path / "studies").study("s").lock, "s"):
        pass
