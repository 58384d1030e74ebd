"""What a node knows of the jobs that are its processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tao_automl.execution import claims

CLAIMER = """
import pathlib, sys
from tao_automl.execution import claims
claims.make("s-9-1", "s", pathlib.Path(sys.argv[1]), ("3",), 1.0)
"""


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "node"))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_a_claim_counts_from_before_the_job_has_a_process(tmp_path: Path) -> None:
    for name, share in (("a", 0.5), ("b", 0.25)):
        (tmp_path / name).mkdir()
        claims.make(f"job-{name}", "s", tmp_path / name, ("0",), share)
    assert claims.held() == ({"0": 0.75}, {"0": "job-b"}) or claims.held() == ({"0": 0.75}, {"0": "job-a"})
    (tmp_path / "a" / "exit.json").write_text("{}")
    assert claims.held() == ({"0": 0.25}, {"0": "job-b"})
    claims.drop(tmp_path / "b")
    assert [claim.job for claim in claims.every()] == ["job-a"]


def test_a_claim_of_a_starter_that_died_holds_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CLAIMER, str(tmp_path)], check=True)
    assert claims.of(tmp_path) is not None
    assert claims.held() == ({}, {})


def test_a_claim_whose_folder_is_gone_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    claims.make("job", "s", tmp_path / "a", (), 1.0)
    (tmp_path / "a").rmdir()
    assert claims.every() == ()
    (tmp_path / "a").mkdir()
    assert claims.every() == ()
