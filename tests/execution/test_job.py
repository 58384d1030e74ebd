"""A job survives its own file, and its script runs by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.execution.job import JobSpec, Mount, run_sh

PRINT = "import json, os, sys; json.dump([sys.argv[1:], os.getcwd(), dict(os.environ)], sys.stdout)"
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
SECONDS = st.floats(min_value=0.0, allow_infinity=False)

JOBS = st.builds(
    JobSpec,
    id=WORDS,
    action=WORDS,
    image=WORDS,
    command=st.lists(WORDS, min_size=1).map(tuple),
    folder=WORDS.map(lambda word: Path("/", word)),
    runtime=WORDS,
    mounts=st.lists(st.builds(Mount, WORDS, WORDS, st.booleans()), max_size=3).map(tuple),
    env=st.dictionaries(NAMES, WORDS),
    gpus=st.integers(0, 16),
    cpus=st.floats(0.1, 64.0),
    shm_bytes=st.none() | st.integers(0, 2**60),
    timeout_s=st.none() | SECONDS,
)


def job(folder: Path, **values) -> JobSpec:
    return JobSpec("s-1-1", "train", "image:1", ("dino", "train"), folder, "process", **values)


@given(JOBS)
def test_a_job_reads_back_as_the_same_job(spec: JobSpec) -> None:
    assert JobSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": "s-1-1"}', '{"command": [], "mounts": [1]}'])
def test_a_file_that_is_no_job_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        JobSpec.from_json(text)


def test_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    values = {**json.loads(job(tmp_path).to_json()), "priority": 3}
    with pytest.raises(TypeError, match="priority"):
        JobSpec.from_json(json.dumps(values))


@pytest.mark.parametrize(
    "word",
    [
        "plain",
        "",
        "two words",
        "it's",
        '"quoted"',
        "$HOME",
        "`id`",
        "a\\b",
        "a\nb",
        "*",
        "-e",
        "é日",
        "k=[1, {a: b}]",
        "!x",
    ],
)
def test_run_sh_runs_the_command_as_it_is(tmp_path: Path, word: str) -> None:
    folder = tmp_path / "it's a $HOME folder"
    folder.mkdir()
    script = folder / "run.sh"
    command = (sys.executable, "-c", PRINT, word, "end")
    script.write_text(run_sh(job(folder, env={"WORD": word, "B": "2"}), command), encoding="utf-8")
    done = subprocess.run(["sh", str(script)], capture_output=True, check=True, text=True, cwd="/")
    arguments, where, env = json.loads(done.stdout)
    assert arguments == [word, "end"]
    assert where == str(folder)
    assert (env["WORD"], env["B"]) == (word, "2")


def test_run_sh_ends_with_the_commands_exit_code(tmp_path: Path) -> None:
    script = run_sh(job(tmp_path), ("sh", "-c", "exit 7"))
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 7


def test_run_sh_stops_when_its_folder_is_gone(tmp_path: Path) -> None:
    script = run_sh(job(tmp_path / "gone"), ("touch", str(tmp_path / "ran")))
    assert subprocess.run(["sh", "-c", script], check=False, capture_output=True).returncode != 0
    assert list(tmp_path.iterdir()) == []
