"""Where a study's folder is copied to, and what of it is not."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import PurePosixPath

import pytest

from tao_automl import copies
from tao_automl.errors import UsageError
from tao_automl.search import study as studies
from tests.fakes.tiny import plan
from tests.s3 import Bucket


def test_each_study_has_a_folder_of_its_own_below_the_address(tmp_path) -> None:
    assert str(copies.address(plan(tmp_path, upload="s3://bucket/results/"))) == "s3://bucket/results/s"
    assert copies.address(plan(tmp_path)) is None
    assert copies.of_study(plan(tmp_path)) is None


def test_what_is_no_address_is_refused_without_its_credentials(tmp_path) -> None:
    with pytest.raises(UsageError, match="is no address in an object store") as raised:
        copies.check(plan(tmp_path, upload="s3://AKID:hidden@bucket/results"))
    assert "hidden" not in raised.value.message


def test_a_bucket_that_is_not_there_is_refused_and_nothing_is_sent_by_a_look(tmp_path, s3: Bucket) -> None:
    with pytest.raises(UsageError, match="no bucket 'no-such-bucket-here'"):
        copies.check(plan(tmp_path, upload="s3://no-such-bucket-here/x"))
    copies.check(plan(tmp_path, upload=s3.url("results")))
    copies.check(plan(tmp_path))
    assert {line.split()[0] for line in s3.proxy.requests} == {"GET"}


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("trials/0003/attempt-1/inputs/a.jpg", True),
        ("trials/0003/attempt-1/train/a.pth", False),
        ("trials/0003/attempt-1", False),
        ("actions/train-001/inputs/a.jpg", True),
        ("actions/unknown-001/inputs/a.jpg", False),
        ("actions", False),
        ("inputs/a.jpg", False),
        ("study.yaml", False),
    ],
)
def test_patterns_of_the_skill_hold_in_the_folder_of_a_job(tmp_path, path: str, stays: bool) -> None:
    made = plan(tmp_path)
    action = dataclasses.replace(made.skill.actions["train"], upload_excludes=("inputs/",))
    made = dataclasses.replace(made, skill=dataclasses.replace(made.skill, actions={"train": action}))
    assert copies.stays_here(made, PurePosixPath(path)) is stays


def test_the_database_goes_along_as_a_sound_copy_while_somebody_writes(tmp_path, s3: Bucket) -> None:
    made = plan(tmp_path, upload=s3.url("results"))
    made.paths.folder.mkdir(parents=True)
    storage = studies.open_storage(made.storage_url, create=True)
    study = studies.create(storage, made.name, made.metric, made.space, attributes={})
    copy = copies.of_study(made)
    assert copy is not None
    with closing(sqlite3.connect(made.studies.database)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        copy.once()
    sent = s3.folder / "results" / "s" / "studies.db"
    assert studies.names(studies.open_readonly(f"sqlite:///{sent}")) == ("s",)
    s3.proxy.requests.clear()
    copy.once()
    assert [line for line in s3.proxy.requests if line.startswith("PUT")] == []
    studies.ask(study, made.space)
    copy.once()
    there = studies.load(studies.open_readonly(f"sqlite:///{sent}"), "s")
    assert len(there.get_trials()) == 1
