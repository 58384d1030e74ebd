"""What a user can get wrong: one sentence, a tip, the right exit code, and nothing changed on disk."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tao_automl.layout import skills_dir
from tao_automl.lock import StudyLock
from tests.cli import study_on_disk
from tests.fakes import finished
from tests.fakes.tiny import odvg
from tests.s3 import Bucket

RUN = ("run", "--model", "dino")


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A sound COCO directory of two images, category ids 1 and 3."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for number in (1, 2, 3, 4):
        Image.new("RGB", (32, 32)).save(folder / "images" / f"{number}.png")
    write(folder, document())
    return folder


def document(**changed: Any) -> dict[str, Any]:
    images = [{"id": n, "file_name": f"{n}.png", "width": 32, "height": 32} for n in (1, 2, 3, 4)]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1 if n < 3 else 3, "bbox": [2, 2, 9, 9], "area": 81, "iscrowd": 0}
        for n in (1, 2, 3, 4)
    ]
    return {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "a"}, {"id": 3, "name": "b"}],
    } | changed


def write(folder: Path, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "annotations.json").write_text(text, encoding="utf-8")


def refused(said: Any, code: int, *named: str) -> None:
    """One sentence, perhaps with a tip, which names the thing."""
    assert said.code == code, said
    lines = said.err.splitlines()
    assert lines[0].startswith("error: "), said.err
    assert len(lines) <= 2, said.err
    assert len(lines) == 1 or lines[1].startswith("  tip: ")
    for word in named:
        assert word in said.err


@pytest.fixture
def unchanged(tmp_path: Path, files_below: Callable[[Path], dict[str, bytes]]) -> Any:
    """Fails the test if anything below its folder changes."""

    def everything() -> tuple[dict[str, bytes], list[Path]]:
        return files_below(tmp_path), sorted(tmp_path.rglob("*"))

    class Guard:
        before: Any = None

        def __enter__(self) -> None:
            self.before = everything()

        def __exit__(self, *_error: object) -> None:
            assert everything() == self.before

    return Guard()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("run",), ("no model is named", "--model")),
        (("run", "--model", "dnio"), ("no model 'dnio'", "dino")),
        ((*RUN, "--metric", "val_map50"), ("val_map50", "val_mAP50")),
        ((*RUN, "--algorithm", "tpa"), ("tpa", "tpe")),
        ((*RUN, "--pruner", "mediam"), ("mediam", "median")),
        ((*RUN, "--runtime", "standing"), ("standing", "standin")),
        ((*RUN, "--trials", "0"), ("--trials 0", "below 1")),
        ((*RUN, "--trials", "ten"), ("--trials ten", "whole number")),
        ((*RUN, "--time", "soon"), ("--time soon", "duration")),
        ((*RUN, "--name", "a/b"), ("--name a/b",)),
        ((*RUN, "--set", "train.optim.lrr=1"), ("train.optim.lrr", "train.optim.lr")),
        ((*RUN, "--set", "train.num_epochs=many"), ("train.num_epochs", "many")),
        ((*RUN, "--set", "results_dir=/x"), ("results_dir",)),
        ((*RUN, "--search", "train.optim.lr=1e-3..1e-5"), ("train.optim.lr", "1e-05..0.001")),
        ((*RUN, "--search", "train.optim.lr=-1..1"), ("train.optim.lr", "-1")),
        ((*RUN, "--search", "train.optim.lr=fast"), ("train.optim.lr",)),
        ((*RUN, "--search", "dataset.batchsize"), ("dataset.batchsize", "dataset.batch_size")),
        ((*RUN, "--keep", "train.optim.lrx"), ("train.optim.lrx", "train.optim.lr")),
        (
            (*RUN, "--search", "model.num_select=950..1000"),
            ("model.num_select=950..1000", "model.num_queries=100..900"),
        ),
        ((*RUN, "--point", "train.optim.lr=0.5"), ("train.optim.lr=0.5", "1e-05..0.001")),
        ((*RUN, "--point", "model.num_queries=310"), ("model.num_queries=310", "100..900 in steps of 50")),
        ((*RUN, "--point", "train.optim.momentum=0.8"), ("train.optim.momentum", "AdamW")),
        ((*RUN, "--point", "lr"), ("--point lr", "KEY=VALUE")),
        ((*RUN, "--point", "train.optim.lr=1e-4", "--trials", "1"), ("a budget of 1", "--trials 2")),
        ((*RUN, "-f", "none.yaml"), ("none.yaml",)),
        ((*RUN, "--num-classes", "2", "--runtime", "standin"), ("dataset.num_classes", "5")),
        ((*RUN, "--num-classes", "7"), ("number of classes", "--train-data")),
        ((*RUN, "--set", "dataset.num_classes=7"), ("number of classes", "--train-data")),
        ((*RUN, "--min-free", "900 TiB"), ("free", "921600.0 GiB")),
        ((*RUN, "--platform", "locl"), ("locl", "local")),
        (("space", "dnio"), ("dnio", "dino")),
    ],
)
def test_a_wrong_word_is_named_and_nothing_is_made(call, unchanged, words: tuple[str, ...], named) -> None:
    with unchanged:
        refused(call(*words), 3 if "--min-free" in words else 2, *named)


def test_too_many_gpus_are_refused_before_a_study_exists(script, unchanged, coco: Path) -> None:
    data = ("--train-data", str(coco), "--val-data", str(coco), "--runtime", "process")
    with unchanged:
        refused(script(*RUN, *data, "--gpus", "3", "--set", "dataset.batch_size=1"), 3, "3 GPUs")


def test_data_without_a_runtime_falls_back_to_nothing(call, unchanged, coco: Path) -> None:
    with unchanged:
        refused(call(*RUN, "--train-data", str(coco), "--val-data", str(coco)), 2, "runtime", "--runtime")


def test_training_data_alone_is_refused(call, unchanged, coco: Path) -> None:
    with unchanged:
        refused(call(*RUN, "--train-data", str(coco), "--runtime", "standin"), 2, "--val-data")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{broken", ("annotations.json:1:2", "broken JSON")),
        (document(annotations=[]), ("annotations.json", "annotation")),
        (document(images=[]), ("annotations.json", "images")),
        (document(categories=[{"id": 1, "name": "a"}]), ("annotations.json", "category")),
        (
            document(annotations=[{**document()["annotations"][0], "bbox": [2, 2, 0, 9]}]),
            ("annotations.json", "annotation 1", "area"),
        ),
        (
            document(images=[{"id": 1, "file_name": "gone.png", "width": 3, "height": 3}], annotations=[]),
            ("annotations.json",),
        ),
    ],
)
def test_bad_annotations_are_refused(call, unchanged, coco: Path, content: Any, named) -> None:
    write(coco, content)
    data = ("--train-data", str(coco), "--val-data", str(coco), "--runtime", "standin")
    with unchanged:
        refused(call(*RUN, *data), 2, *named)


@pytest.mark.parametrize("missing", ["images", "annotations.json", ""])
def test_missing_data_is_named(call, unchanged, coco: Path, missing: str) -> None:
    path = coco / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    data = ("--train-data", str(coco), "--val-data", str(coco), "--runtime", "standin")
    with unchanged:
        refused(call(*RUN, *data), 2, missing or str(coco))


def test_too_few_classes_for_the_data_are_refused(call, unchanged, coco: Path) -> None:
    data = ("--train-data", str(coco), "--val-data", str(coco), "--runtime", "standin")
    with unchanged:
        refused(call(*RUN, *data, "--num-classes", "3"), 2, "dataset.num_classes", "category id 3", "4")


def test_a_batch_larger_than_the_data_is_refused(call, unchanged, coco: Path) -> None:
    data = ("--train-data", str(coco), "--val-data", str(coco), "--runtime", "standin")
    with unchanged:
        refused(call(*RUN, *data, "--set", "dataset.batch_size=8"), 2, "dataset.batch_size", "4 images")


def test_a_study_file_names_its_line(call, unchanged, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("model: dino\ntrails: 3\n")
    with unchanged:
        refused(call("run", "-f", "s.yaml"), 2, "s.yaml:2", "trails", "trials")


def test_a_foreign_database_is_left_alone(call, unchanged, tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "studies.db").write_bytes(b"not a database at all" * 100)
    with unchanged:
        refused(call(*RUN, "--name", "x"), 2, "studies.db")


def test_a_name_of_another_space_is_refused(call, unchanged, tmp_path: Path) -> None:
    study_on_disk.make(tmp_path / "studies")
    with unchanged:
        refused(call(*RUN, "--name", "coco"), 2, "coco")


@pytest.mark.parametrize("command", ["resume", "best", "show", "status", "stop"])
def test_an_unknown_study_has_near_matches(call, unchanged, tmp_path: Path, command: str) -> None:
    study_on_disk.make(tmp_path / "studies")
    with unchanged:
        refused(call(command, "cocos"), 2, "'cocos'", "'coco'")


def test_a_locked_study_names_its_driver(call, tmp_path: Path) -> None:
    paths = study_on_disk.make(tmp_path / "studies")
    paths.study_file.write_text("schema: 1\nstudy: coco\nsettings:\n  model: {value: dino, from: flag}\n")
    with StudyLock(paths.lock, "coco"):
        refused(call("resume", "coco"), 2, "coco", str(os.getpid()))


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bank of skills of our own to break."""
    folder = tmp_path / "bank"
    shutil.copytree(skills_dir() / "tao-train-dino", folder / "tao-train-dino")
    monkeypatch.setenv("TAO_AUTOML_SKILLS_DIR", str(folder))
    return folder / "tao-train-dino"


@pytest.mark.parametrize("file", ["schemas/train.schema.json", "references/spec_template_train.yaml"])
def test_a_model_without_its_schema_or_template_is_enabled_but_not_runnable(
    call, unchanged, bank: Path, file: str
) -> None:
    (bank / file).unlink()
    with unchanged:
        refused(call(*RUN), 2, "AutoML is enabled for dino", "not runnable until", file)


def test_a_schema_that_does_not_parse_names_file_and_line(call, unchanged, bank: Path) -> None:
    (bank / "schemas" / "train.schema.json").write_text('{"properties": {\n  oops\n')
    with unchanged:
        refused(call(*RUN), 2, "train.schema.json", "2")


def test_a_broken_automl_yaml_names_file_and_line(call, unchanged, bank: Path) -> None:
    path = bank / "automl.yaml"
    path.write_text(path.read_text() + "surprise: 1\n")
    with unchanged:
        refused(call(*RUN), 2, "automl.yaml", "surprise")


def test_as_json_an_error_is_one_object_on_stdout(call, unchanged) -> None:
    with unchanged:
        said = call("run", "--model", "dnio", "--json")
    assert said.code == 2
    error = said.document["error"]
    assert set(error) == {"code", "message", "tip"}
    assert "dnio" in error["message"]
    assert "dino" in error["tip"]


def told(said: Any, code: int, *named: str) -> None:
    """One sentence and a tip."""
    refused(said, code, *named)
    assert len(said.err.splitlines()) == 2, said.err


# Data that is not what it is named as


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[1, 2]", ("annotations.json: a JSON object is expected", "correct the file")),
        ('{"shapes": []}', ("annotations.json", "not a COCO file", "'images'")),
        (document(images=[*document()["images"], document()["images"][0]]), ("image id 1", "more than once")),
        (
            document(images=[{**item, "file_name": f"gone-{item['id']}.png"} for item in document()["images"]]),
            ("images/gone-1.png is missing (4 such images)",),
        ),
    ],
)
def test_what_is_no_coco_file_or_does_not_fit_its_images_is_named(call, unchanged, coco: Path, content, named) -> None:
    write(coco, content)
    data = ("--train-data", str(coco), "--val-data", str(coco), "--runtime", "standin")
    with unchanged:
        told(call(*RUN, *data), 2, *named)


def test_category_ids_with_a_gap_are_refused_where_a_model_counts_them(call, unchanged, tmp_path: Path) -> None:
    for split in ("train", "val"):
        odvg(tmp_path / split)
    write_ids(tmp_path / "val" / "annotations.json", {1: 2})
    data = ("--train-data", "train", "--val-data", "val", "--runtime", "standin")
    with unchanged:
        told(call("run", "--model", "grounding_dino", *data), 2, "category ids have a gap: 1 is missing below 2")


def write_ids(path: Path, changed: dict[int, int]) -> None:
    content = json.loads(path.read_text())
    for entry in content["categories"]:
        entry["id"] = changed.get(entry["id"], entry["id"])
    for entry in content["annotations"]:
        entry["category_id"] = changed.get(entry["category_id"], entry["category_id"])
    path.write_text(json.dumps(content))


def test_an_archive_bomb_is_refused_and_leaves_nothing(call, unchanged, coco: Path) -> None:
    info = tarfile.TarInfo("images/bomb.png")
    info.size = 10 * 2**40
    shutil.rmtree(coco / "images")
    with gzip.open(coco / "images.tar.gz", "wb") as archive:
        archive.write(info.tobuf() + b"\0" * 1024)
    data = ("--train-data", str(coco), "--val-data", str(coco), "--runtime", "process")
    with unchanged:
        told(call(*RUN, *data), 2, "images.tar.gz unpacks to more than")


def test_a_study_file_that_is_no_yaml_names_its_line(call, unchanged, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("model: dino\ntrials: [3\n")
    with unchanged:
        told(call("run", "-f", "s.yaml"), 2, "s.yaml:3")


# Actions


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """A study with a best trial; returns its best checkpoint."""
    made = finished.make(tmp_path)
    return made.paths.attempt(1, 1).checkpoints("train") / finished.BEST


def test_an_unknown_action_has_near_matches_and_the_list(call, unchanged, done: Path) -> None:
    with unchanged:
        told(call("action", "exprot", "done"), 2, "no action 'exprot'", "'export'", "gen_trt_engine", "quantize")


def test_an_action_without_a_finished_trial_is_told(call, unchanged, done: Path) -> None:
    with unchanged:
        refused(
            call("action", "export", "done/2"), 2, "trial 2 of study 'done' has no result", "tao-automl status done"
        )


@pytest.mark.parametrize("options", [(), ("--checkpoint", "train/gone.pth")])
def test_a_checkpoint_that_was_deleted_is_named(call, unchanged, done: Path, options: tuple[str, ...]) -> None:
    done.unlink()
    with unchanged:
        told(call("action", "export", "done", *options), 2, "gone", "--checkpoint")


# An object store


@pytest.fixture
def lake(s3: Bucket, coco: Path) -> tuple[str, ...]:
    """The options for data in a bucket."""
    shutil.copytree(coco, s3.folder / "data")
    return ("--train-data", s3.url("data"), "--val-data", s3.url("data"), "--runtime", "standin", "--cache-dir", "c")


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--val-data", "s3://no-such-bucket-here/val"), 2, ("no bucket 'no-such-bucket-here'", "AWS_ENDPOINT_URL")),
        (("--val-data", "s3://{bucket}/vall"), 2, ("there is no s3://{bucket}/vall", "case-sensitive")),
        (("--upload", "s3://no-such-bucket-here/out"), 2, ("no bucket 'no-such-bucket-here'",)),
    ],
)
def test_no_such_bucket_or_key_is_named(call, unchanged, s3: Bucket, lake, words, code: int, named) -> None:
    words, named = ([text.format(bucket=s3.folder.name) for text in texts] for texts in (words, named))
    call("plan", *RUN[1:], *lake)  # what is brought to the cache is no change
    with unchanged:
        told(call(*RUN, *lake, *words), code, *named)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, ("AWS credentials", "AWS_ACCESS_KEY_ID")),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, ("credentials are refused",)),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ("http://127.0.0.1:1 does not answer", "AWS_ENDPOINT_URL")),
        ({"AWS_ENDPOINT_URL": "nowhere"}, ("nowhere is no address", "AWS_ENDPOINT_URL")),
    ],
)
def test_credentials_and_endpoint_are_named(call, unchanged, monkeypatch, lake, variables, named) -> None:
    for name, value in variables.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with unchanged:
        told(call(*RUN, *lake), 3, *named)
