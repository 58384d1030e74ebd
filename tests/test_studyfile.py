"""Files that say what to tune, and the record of a study that `resume` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tao_automl import studyfile
from tao_automl.config import KEYS, Layer, Settings, resolve
from tao_automl.errors import ConfigError, StudyError, UsageError
from tao_automl.layout import StudiesPaths, StudyPaths
from tests.fakes.tiny import NOW

EVERYTHING: dict[str, Any] = {
    "model": "tiny",
    "skill_dir": "/skills/tiny",
    "name": "s",
    "train_data": ["/data/a", "/data/b"],
    "val_data": ["/data/c"],
    "num_classes": 7,
    "trials": 20,
    "time": "1h30m",
    "max_failures": 2,
    "target": 0.6,
    "plateau": 5,
    "parallel": 3,
    "epochs": 4,
    "gpus": 0,
    "metric": "val_loss",
    "direction": "minimize",
    "confirm": 2,
    "eval_action": "evaluate",
    "baseline": "on",
    "final_evaluation": "off",
    "constraint": ["train_time_s<=3600"],
    "algorithm": "random",
    "pruner": "none",
    "min_epochs": 2,
    "reduction_factor": 4,
    "pbt_interval": 3,
    "seed": 0,
    "set": {"train.optim.lr": "1e-3", "train.precision": "fp32"},
    "search": {"train.optim.weight_decay": None, "train.optim.lr": "1e-5..1e-3:log"},
    "keep": ["model.queries"],
    "point": [{"train.optim.lr": 3e-4}, {"train.optim.lr": "1e-4"}],
    "warm_start": ["earlier", "other/studies.db#first"],
    "runtime": "process",
    "platform": "local",
    "address": "box:6379",
    "storage": "sqlite:////studies/x.db",
    "automl_policy": "off",
    "keep_checkpoints": "all",
    "min_free": "2 GB",
    "nodes": 2,
    "node_gpus": 8,
    "share_gpus": "on",
    "node_grace": "90s",
    "trial_timeout": "2h",
    "hang_timeout": "15m",
    "image": "registry.example/tiny:2",
    "image_policy": "never",
    "shm_size": "8 GiB",
    "network": "host",
    "env": {"NCCL_DEBUG": "INFO", "HF_TOKEN": None},
    "cache_dir": "/scratch/cache",
    "upload": "s3://bucket/results",
    "mount": ["/cache:/scratch/kept:rw", "/weights"],
}


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    found = StudiesPaths(tmp_path).study("s")
    found.folder.mkdir()
    return found


def frozen_and_thawed(settings: Settings, paths: StudyPaths) -> Settings:
    studyfile.freeze(settings, "s", paths.study_file, NOW)
    return studyfile.thaw(paths, settings["studies_dir"])


def test_every_setting_comes_back_with_its_origin(paths):
    assert set(EVERYTHING) == set(KEYS) - {"studies_dir"}
    studies_dir = Layer("flag", {"studies_dir": str(paths.folder.parent)})
    settings = resolve([studies_dir, Layer("file dino.yaml", EVERYTHING)])
    thawed = frozen_and_thawed(settings, paths)
    assert thawed.values == settings.values
    assert thawed.origins == settings.origins
    assert thawed.origin("trials") == "file dino.yaml"


def test_defaults_come_back_as_defaults(paths):
    settings = resolve([Layer("flag", {"studies_dir": str(paths.folder.parent)})])
    thawed = frozen_and_thawed(settings, paths)
    assert thawed.values == settings.values
    assert not thawed.named("trials")


WORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters="=\x7f"), min_size=1, max_size=12
)
VALUES = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), WORDS, st.lists(st.integers(), max_size=3))


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.dictionaries(WORDS, WORDS, max_size=3), st.integers(0, 10**6))
def test_whatever_was_set_comes_back(tmp_path_factory, set_, search, seed):
    paths = StudiesPaths(tmp_path_factory.getbasetemp()).study("any")
    paths.folder.mkdir(exist_ok=True)
    asked = {"set": set_, "search": search, "seed": seed, "studies_dir": str(paths.folder.parent)}
    settings = resolve([Layer("flag", asked)])
    assert frozen_and_thawed(settings, paths).values == settings.values


def test_a_record_is_for_people_too(paths):
    settings = resolve([Layer("flag", {"trials": "3", "studies_dir": str(paths.folder.parent)})])
    studyfile.freeze(settings, "s", paths.study_file, NOW)
    record = yaml.safe_load(paths.study_file.read_text())
    assert record["study"] == "s"
    assert record["created"].startswith("2026-01-02T12:00:00")
    assert record["settings"]["trials"] == {"value": 3, "from": "flag"}
    assert "studies_dir" not in record["settings"], "the studies may be moved"


def test_a_moved_study_is_found_where_it_is(paths, tmp_path):
    settings = resolve([Layer("flag", {"studies_dir": "/elsewhere"})])
    studyfile.freeze(settings, "s", paths.study_file, NOW)
    assert studyfile.thaw(paths, tmp_path)["studies_dir"] == tmp_path


def test_a_password_is_not_written_down(paths):
    asked = {"storage": "postgresql://me:hunter2@box/db", "studies_dir": str(paths.folder.parent)}
    studyfile.freeze(resolve([Layer("flag", asked)]), "s", paths.study_file, NOW)
    assert "hunter2" not in paths.study_file.read_text()


def test_a_study_without_its_record_cannot_be_resumed(paths):
    with pytest.raises(StudyError, match=r"study 's' cannot be resumed: .*study\.yaml is missing") as raised:
        studyfile.thaw(paths, paths.folder.parent)
    assert "tao-automl best s" in raised.value.tip


@pytest.mark.parametrize("text", ["", "a\n", "- 1\n", "settings: 3\n", "settings: {trials: 3}\n"])
def test_what_is_no_record_is_refused(paths, text):
    paths.study_file.write_text(text)
    with pytest.raises(ConfigError, match="not a study's record"):
        studyfile.thaw(paths, paths.folder.parent)


def test_a_record_that_was_edited_wrongly_is_refused_with_its_line(paths):
    paths.study_file.write_text("schema: 1\nsettings:\n  seed: {value: 1}\n  trials: {value: many}\n")
    with pytest.raises(ConfigError, match=r"study\.yaml:4: trials many: is not a whole number"):
        studyfile.thaw(paths, paths.folder.parent)


# Files that users write


def test_a_study_file_is_a_layer_of_settings(tmp_path):
    (tmp_path / "mine.yaml").write_text("model: tiny\ntrials: 4\nset: {train.optim.lr: 1e-3}\n")
    settings = resolve([studyfile.read(tmp_path / "mine.yaml")])
    assert (settings["model"], settings["trials"]) == ("tiny", 4)
    assert settings["set"] == {"train.optim.lr": 1e-3}
    assert settings.origin("trials") == "file mine.yaml"


def test_an_empty_study_file_says_nothing(tmp_path):
    (tmp_path / "mine.yaml").write_text("# nothing yet\n")
    assert resolve([studyfile.read(tmp_path / "mine.yaml")]).values == resolve([]).values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- model\n", r"mine\.yaml: a mapping of settings is expected"),
        ("model: tiny\ntrial: 3\n", r"mine\.yaml:2: 'trial' is not a setting"),
        ("model: tiny\n\ntrials: many\n", r"mine\.yaml:3: trials many: is not a whole number"),
        ("model: [\n", r"mine\.yaml:"),
    ],
)
def test_a_wrong_study_file_is_refused_with_its_line(tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as raised:
        resolve([studyfile.read(tmp_path / "mine.yaml")])
    assert raised.value.tip


def test_a_study_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        studyfile.read(tmp_path / "none.yaml")


def test_platforms_are_known_by_name_or_are_files(tmp_path):
    assert resolve([studyfile.platform("local")])["runtime"] == "process"
    (tmp_path / "box.yaml").write_text("gpus: 4\n")
    layer = studyfile.platform(str(tmp_path / "box.yaml"))
    assert (layer.where, resolve([layer])["gpus"]) == ("platform box", 4)
    with pytest.raises(UsageError, match="no platform 'locall'") as raised:
        studyfile.platform("locall")
    assert "'local'" in raised.value.tip
