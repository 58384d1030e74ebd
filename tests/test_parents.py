"""What an action starts from: by the keys it takes, never by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl import parents, runs
from tao_automl.errors import UsageError
from tao_automl.layout import StudyPaths
from tao_automl.parents import Origin, Parent
from tests.fakes import chain


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "s")


@pytest.fixture
def origin(study: StudyPaths) -> Origin:
    return Origin(study, chain.winner(study))


def chosen(name: str, origin: Origin) -> Parent | None:
    known = chain.made()
    return parents.choose(known, known.actions[name], origin)


def keys(name: str, file: Path, leaf: str | None = None) -> tuple[str, ...]:
    known = chain.made()
    return parents.keys_for(known, known.actions[name], Parent(file, leaf=leaf))


def ran(study: StudyPaths, name: str, **changed) -> runs.Run:
    made = chain.run(study, name, **changed)
    runs.record(study, made)
    return made


@pytest.mark.parametrize("name", ["export", "score", "shrink", "train"])
def test_the_winners_checkpoint_is_taken_where_no_other_action_makes_the_file(name: str, origin: Origin) -> None:
    assert chosen(name, origin) == Parent(origin.won.checkpoint, epoch=4)


def test_an_action_without_a_model_needs_none(origin: Origin) -> None:
    assert chosen("count", origin) is None


def test_what_another_action_makes_is_taken_from_its_newest_run(origin: Origin, study: StudyPaths) -> None:
    exported = ran(study, "export-001")
    found = chosen("build", origin)
    assert found == Parent(exported.outputs["export.onnx_file"], exported, "onnx_file", 4)
    built = ran(study, "build-001", after="export-001")
    assert chosen("deploy_score", origin) == Parent(built.outputs["build.engine"], built, "engine", 4)


def test_what_is_not_made_yet_is_told_with_the_command(origin: Origin) -> None:
    with pytest.raises(UsageError, match=r"deploy_score needs score\.engine: no build of trial 3") as raised:
        chosen("deploy_score", origin)
    assert raised.value.tip.startswith("tao-automl action build s/3")


def test_a_model_path_takes_a_checkpoint_and_after_an_export_what_that_made(origin: Origin, study: StudyPaths) -> None:
    exported = ran(study, "export-001")
    assert chosen("shrink", origin) == Parent(origin.won.checkpoint, epoch=4)
    after = Origin(study, origin.won, after=exported)
    assert chosen("shrink", after) == Parent(exported.outputs["export.onnx_file"], exported, "onnx_file", 4)


def test_the_other_container_takes_an_engine_under_the_same_word(origin: Origin, study: StudyPaths) -> None:
    built = ran(study, "build-001")
    with pytest.raises(UsageError, match="score does not take the engine that build-001 made") as raised:
        chosen("score", Origin(study, origin.won, after=built))
    assert raised.value.tip == "tao-automl action deploy_score does"


def test_a_run_without_a_file_cannot_be_started_from(origin: Origin, study: StudyPaths) -> None:
    counted = ran(study, "count-001")
    with pytest.raises(UsageError, match="count-001 made no model"):
        chosen("export", Origin(study, origin.won, after=counted))


def test_what_a_run_made_may_be_gone(origin: Origin, study: StudyPaths) -> None:
    exported = ran(study, "export-001")
    exported.outputs["export.onnx_file"].unlink()
    with pytest.raises(UsageError, match=r"model\.onnx, which export-001 made, is gone"):
        chosen("build", Origin(study, origin.won, after=exported))


def test_a_checkpoint_that_is_named_is_known_by_its_epoch(origin: Origin, tmp_path: Path) -> None:
    folder = origin.won.attempt.checkpoints("train")
    named = folder / "model_epoch_005_step_00010.pth"
    for text in (str(named), parents.LATEST):
        assert chosen("export", Origin(origin.study, origin.won, text)) == Parent(named.resolve(), epoch=5)
    (tmp_path / "other.pth").write_bytes(b"w")
    other = chosen("export", Origin(origin.study, origin.won, str(tmp_path / "other.pth")))
    assert other == Parent((tmp_path / "other.pth").resolve())


def test_a_newest_checkpoint_that_is_gone_is_told(origin: Origin) -> None:
    (origin.won.attempt.checkpoints("train") / "tiny_model_latest.pth").unlink()
    with pytest.raises(UsageError, match="trial 3 of study 's' has no newest checkpoint"):
        chosen("export", Origin(origin.study, origin.won, parents.LATEST))


def test_a_file_goes_to_the_key_that_is_for_it() -> None:
    assert keys("shrink", Path("m.pth")) == ("shrink.model_path", "shrink.folder")
    assert keys("build", Path("m.onnx")) == ("build.onnx_file",)
    assert keys("build", Path("m.bin")) == ("build.onnx_file",)
    assert keys("score", Path("m.pth")) == ("score.checkpoint",)
    assert keys("train", Path("m.pth")) == ("train.resume",)


def test_the_specs_that_led_to_a_file_are_told_from_the_training_on(origin: Origin, study: StudyPaths) -> None:
    origin.won.attempt.spec.write_text("a: 1\n")
    exported = ran(study, "export-001")
    built = ran(study, "build-001", after="export-001")
    exported.paths.spec.write_text("a: 2\n")
    built.paths.spec.write_text("a: 3\n")
    names = parents.lineage(origin, Parent(Path("model.engine"), built))
    assert names == (("train", {"a": 1}), ("export", {"a": 2}), ("build", {"a": 3}))


def test_without_the_winners_spec_nobody_knows_the_structure(origin: Origin) -> None:
    with pytest.raises(UsageError, match=r"spec\.yaml is missing"):
        parents.lineage(origin, None)
