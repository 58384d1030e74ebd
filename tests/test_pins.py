"""What a study reads from an object store: seen before anything starts, and the same for as long as it goes on."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tao_automl import jobs, pins
from tao_automl import plan as plans
from tao_automl.errors import AutoMLError, ConfigError, PlatformError, UsageError
from tao_automl.execution import cache
from tao_automl.plan import Plan
from tao_automl.tao import keypath
from tests.fakes.tiny import NOW, SKILL, coco, odvg, settings
from tests.s3 import Bucket, Busy


@pytest.fixture
def remote(s3: Bucket) -> Bucket:
    """A bucket with `train` and `val` in COCO form."""
    for split in ("train", "val"):
        coco(s3.folder / split)
    return s3


def pack(folder: Path) -> None:
    with tarfile.open(folder / "images.tar.gz", "w:gz") as archive:
        archive.add(folder / "images", "images")
    shutil.rmtree(folder / "images")


def asked(tmp_path: Path, s3: Bucket, **flags: Any) -> Any:
    named = {"train_data": s3.url("train"), "val_data": s3.url("val"), "cache_dir": str(tmp_path / "cache")}
    return settings(tmp_path, **{**named, **flags})


def planned(tmp_path: Path, s3: Bucket, **flags: Any) -> Plan:
    return plans.prepare(asked(tmp_path, s3, **flags), NOW)


def refused(tmp_path: Path, s3: Bucket, **flags: Any) -> AutoMLError:
    """The error of a plan; nothing was made but what the cache has."""
    found = asked(tmp_path, s3, **flags)
    before = sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts)
    with pytest.raises(AutoMLError) as raised:
        plans.prepare(found, NOW)
    assert sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts) == before
    return raised.value


def test_a_plan_looks_and_brings_only_annotations(tmp_path, remote):
    made = planned(tmp_path, remote)
    assert [item.image_count for item in (*made.data.train, *made.data.val)] == [3, 3]
    assert keypath.get(made.launch.spec, "dataset.num_classes") == 3
    assert made.launch.chosen["dataset.train"].value == [
        {"image_dir": remote.url("train/images"), "json_file": remote.url("train/annotations.json")}
    ]
    assert remote.proxy.got("/images/") == []
    assert len(remote.proxy.got("annotations.json")) == 2


def test_the_spec_of_a_trial_names_places_and_the_job_says_what_belongs_there(tmp_path, remote):
    made = planned(tmp_path, remote)
    paths = made.paths.attempt(0, 1)
    spec, job = jobs.trial_spec(made, {}, paths), jobs.trial_job(made, 0, 1)
    for item in job.staged:
        cache.stage(item, lambda _text: None)
    assert {item.url for item in job.staged} == {
        remote.url(f"{split}/{name}") for split in ("train", "val") for name in ("images", "annotations.json")
    }
    entry = keypath.get(spec, "dataset.train")[0]
    assert sorted(path.name for path in Path(entry["image_dir"]).iterdir()) == ["0.png", "1.png", "2.png"]
    assert json.loads(Path(entry["json_file"]).read_text())["images"]
    assert Path(keypath.get(spec, "dataset.val.image_dir")).is_dir()


def test_an_archive_in_a_store_is_a_folder_in_the_spec(tmp_path, remote):
    pack(remote.folder / "train")
    made = planned(tmp_path, remote)
    spec = jobs.trial_spec(made, {}, made.paths.attempt(0, 1))
    for item in made.pinned.values():
        cache.stage(item, lambda _text: None)
    assert len(list(Path(keypath.get(spec, "dataset.train")[0]["image_dir"]).iterdir())) == 3


def test_addresses_may_stand_at_any_key_and_in_every_entry(tmp_path, remote):
    remote.put("ptm/w.pth", b"weights")
    entries = [
        {"image_dir": remote.url("train/images/"), "json_file": remote.url("train/annotations.json")},
        {"image_dir": remote.url("val/images"), "json_file": remote.url("val/annotations.json")},
    ]
    made = planned(
        tmp_path,
        remote,
        train_data=None,
        set=[f"dataset.train={json.dumps(entries)}", f"dataset.val.json_file={remote.url('ptm/w.pth')}",
             f"dataset.val.image_dir={remote.url('val/images')}", "dataset.num_classes=3"],
    )  # fmt: skip
    spec = jobs.trial_spec(made, {}, made.paths.attempt(0, 1))
    assert "s3://" not in json.dumps(spec)
    assert Path(keypath.get(spec, "dataset.val.json_file")).name == "w.pth"
    assert {item.kind for item in made.pinned.values()} == {"file", "folder"}


def test_a_container_sees_the_places_read_only(tmp_path, remote):
    made = planned(tmp_path, remote, runtime="docker", image="x")
    job = jobs.trial_job(made, 0, 1)
    seen = {mount.container: mount for mount in job.mounts}
    for item in job.staged:
        assert seen[item.path].host == item.path
        assert seen[item.path].read_only


def test_nothing_of_a_store_is_asked_without_an_address(tmp_path, s3):
    made = planned(tmp_path, s3, train_data=str(coco(tmp_path / "train")), val_data=str(coco(tmp_path / "val")))
    assert made.pinned == {}
    assert jobs.trial_job(made, 0, 1).staged == ()
    assert s3.proxy.requests == []


# Kept


def test_a_study_that_goes_on_reads_what_it_read_and_asks_nobody(tmp_path, remote):
    made = planned(tmp_path, remote)
    pins.write(made.pinned.values(), tmp_path / "pins.json")
    coco(remote.folder / "train" / "more", categories=(5,))
    remote.proxy.fault = lambda _line: Busy()
    again = plans.known(asked(tmp_path, remote), NOW, pinned=pins.read(tmp_path / "pins.json"))
    assert again.pinned == made.pinned
    assert again.data == made.data


def test_with_another_cache_the_places_are_others_and_the_content_is_the_same(tmp_path, remote):
    made = planned(tmp_path, remote)
    pins.write(made.pinned.values(), tmp_path / "pins.json")
    other = asked(tmp_path, remote, cache_dir=str(tmp_path / "other"))
    again = plans.known(other, NOW, pinned=pins.read(tmp_path / "pins.json"))
    assert [item.digest for item in again.pinned.values()] == [item.digest for item in made.pinned.values()]
    assert all(item.path.startswith(str(tmp_path / "other")) for item in again.pinned.values())


def test_without_pins_there_is_no_file_and_no_file_is_no_pins(tmp_path):
    pins.write((), tmp_path / "pins.json")
    assert not (tmp_path / "pins.json").exists()
    assert pins.read(tmp_path / "pins.json") == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"pins": [{}]}', '{"schema": 1}'])
def test_a_damaged_file_of_pins_is_named(tmp_path, text):
    (tmp_path / "pins.json").write_text(text)
    with pytest.raises(ConfigError, match=r"pins\.json is damaged"):
        pins.read(tmp_path / "pins.json")


# Bad input: known before anything starts


def test_a_dataset_without_images_or_annotations_is_named(tmp_path, remote):
    (remote.folder / "train" / "annotations.json").unlink()
    assert refused(tmp_path, remote).message == f"{remote.url('train/annotations.json')} is missing"
    shutil.rmtree(remote.folder / "val" / "images")
    coco(remote.folder / "other")
    assert refused(tmp_path, remote, train_data=remote.url("other")).message == f"{remote.url('val')} has no images"


def test_images_that_are_not_in_the_store_are_named(tmp_path, remote):
    (remote.folder / "train" / "images" / "1.png").unlink()
    error = refused(tmp_path, remote)
    assert error.message == f"{remote.url('train/images')}/1.png is missing"
    assert error.code == "data-missing"


def test_broken_annotations_are_named_as_the_user_knows_them(tmp_path, remote):
    remote.put("train/annotations.json", b"{broken")
    assert refused(tmp_path, remote).message.startswith(f"{remote.url('train/annotations.json')}:1:2: broken JSON")


def test_an_address_without_anything_is_named(tmp_path, remote):
    error = refused(tmp_path, remote, train_data=remote.url("trian"))
    assert isinstance(error, UsageError)
    assert error.message == f"there is no {remote.url('trian')}"
    error = refused(tmp_path, remote, set=f"dataset.val.json_file={remote.url('none.json')}")
    assert error.message == f"there is no {remote.url('none.json')}"


def test_no_bucket_no_credentials_and_no_server_are_said_before_anything_starts(tmp_path, remote, monkeypatch):
    assert "no bucket 'not-there-at-all'" in refused(tmp_path, remote, train_data="s3://not-there-at-all/train").message
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    error = refused(tmp_path, remote)
    assert isinstance(error, PlatformError)
    assert "http://127.0.0.1:1" in error.message
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "no usable AWS credentials" in refused(tmp_path, remote).message


def test_credentials_in_an_address_get_into_no_message(tmp_path, remote):
    error = refused(tmp_path, remote, train_data="s3://AKID:hidden/key@bucket/train")
    assert "hidden" not in error.message + error.tip


def test_the_tiny_skill_has_no_address_of_its_own() -> None:
    assert "s3://" not in (SKILL / "references" / "spec_template_train.yaml").read_text()


WORDS = {"skill_dir": None, "model": "grounding_dino", "set": "dataset.batch_size=1"}


def test_data_for_models_that_are_told_what_to_find_is_looked_into_too(tmp_path, s3):
    for split in ("train", "val"):
        odvg(s3.folder / split)
    made = planned(tmp_path, s3, **WORDS)
    assert made.data.train[0].categories == {0: "cat", 1: "dog"}
    assert keypath.get(made.launch.spec, "dataset.train_data_sources") == [
        {
            "image_dir": s3.url("train/images"),
            "json_file": s3.url("train/annotations_odvg.jsonl"),
            "label_map": s3.url("train/annotations_odvg_labelmap.json"),
        }
    ]


def test_what_is_wrong_with_it_is_told_with_its_address(tmp_path, s3):
    for split in ("train", "val"):
        odvg(s3.folder / split)
    labels = s3.folder / "train" / "annotations_odvg_labelmap.json"
    labels.write_text('{"1": "cat"}')
    assert refused(tmp_path, s3, **WORDS).message.startswith(
        s3.url("train/annotations_odvg_labelmap.json: labels count")
    )
    labels.unlink()
    assert refused(tmp_path, s3, **WORDS).message == f"{s3.url('train/annotations_odvg_labelmap.json')} is missing"
