"""Whether this machine is ready: each check says what it saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl import doctor


def found(folder: Path) -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.checks(folder)}


def test_a_sound_machine_has_no_failure(tmp_path: Path) -> None:
    checks = found(tmp_path / "studies")
    assert {name for name, check in checks.items() if check.state == "fail"} == set()
    assert {"python", "optuna", "ray", "gpus", "shared memory", "disk", "studies", "models"} <= set(checks)
    assert not (tmp_path / "studies").exists()


def test_a_database_that_is_none_is_a_failure_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_text("hello")
    check = found(tmp_path)["studies"]
    assert check.state == "fail"
    assert "studies.db" in check.text


def test_a_bank_without_models_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_AUTOML_SKILLS_DIR", str(tmp_path))
    check = found(tmp_path)["models"]
    assert check.state == "fail"
    assert str(tmp_path) in check.text


def test_a_program_that_fails_is_told_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check = found(tmp_path)["gpus"]
    assert check.state == "info"
    assert "NVIDIA-SMI has failed" in check.text


def test_without_a_container_engine_a_machine_is_ready_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    check = found(tmp_path / "studies")["runtime docker"]
    assert check.state == "info"
    assert check.text.startswith("runtime docker: ")
