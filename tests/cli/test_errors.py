"""From an exception to what the user reads, and to the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tao_automl import errors
from tao_automl.cli import _errors


def fail(error: BaseException, *args: str) -> int:
    def call() -> int:
        raise error

    return _errors.guarded(call, args)


def leaves(kind: type[errors.AutoMLError]) -> list[type[errors.AutoMLError]]:
    below = kind.__subclasses__()
    return [leaf for part in below for leaf in leaves(part)] if below else [kind]


@pytest.mark.parametrize("kind", leaves(errors.AutoMLError))
def test_every_error_is_a_sentence_a_tip_and_the_code_of_its_class(kind, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(kind("the disk is full", tip="make room")) == kind.exit_code
    assert capsys.readouterr().err == "error: the disk is full\n  tip: make room\n"


def test_unknown_command(call) -> None:
    said = call("rnu")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: no command 'rnu'\n  tip: did you mean 'run'?\n"


def test_unknown_option_has_near_matches(call) -> None:
    said = call("run", "--trails", "3")
    assert said.code == 2
    assert said.err.startswith("error: no option --trails\n  tip: did you mean '--trials'")


def test_unknown_option_without_near_match_names_the_help(call) -> None:
    said = call("best", "--frobnicate")
    assert (
        said.err
        == "error: no option --frobnicate\n  tip: there is --help, --importance, --json, --storage, --studies-dir\n"
    )


def test_missing_argument(call) -> None:
    said = call("space")
    assert said.code == 2
    assert said.err == "error: MODEL|STUDY is missing\n  tip: tao-automl space --help shows how it is called\n"


def test_option_without_its_value(call) -> None:
    said = call("run", "--trials")
    assert said.code == 2
    assert said.err == (
        "error: option '--trials' requires an argument\n  tip: tao-automl run --help shows how it is called\n"
    )


def test_value_that_click_cannot_read(call) -> None:
    said = call("logs", "a/0", "--tail", "many")
    assert said.code == 2
    assert said.err.startswith("error: --tail: 'many' is not a valid integer\n")


def test_with_json_an_error_is_one_object_on_stdout(call) -> None:
    said = call("best", "--frobnicate", "--json")
    assert said.code == 2
    assert said.err == ""
    assert said.document == {
        "schema": 1,
        "error": {
            "code": "no-option",
            "message": "no option --frobnicate",
            "tip": "there is --help, --importance, --json, --storage, --studies-dir",
        },
    }


def test_absent_tip_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    fail(errors.UsageError("no"), "status", "--json")
    assert '"tip": null' in capsys.readouterr().out


def test_fault_of_ours_is_one_sentence_with_the_file_of_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fail(ZeroDivisionError("division by zero"), "status") == 70
    said = capsys.readouterr()
    assert said.out == ""
    first, second = said.err.splitlines()
    assert first == "error: this is a fault of tao-automl: ZeroDivisionError: division by zero"
    kept = Path(second.removeprefix("  tip: the traceback is in ").split(";")[0])
    assert "Traceback (most recent call last)" in kept.read_text(encoding="utf-8")
    kept.unlink()


@pytest.mark.parametrize("args", [("-vv", "status"), ("-v", "-v", "status"), ("--verbose", "--verbose", "status")])
def test_twice_verbose_shows_the_traceback(args: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    fail(errors.UsageError("no"), *args)
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_debug_variable_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAO_AUTOML_DEBUG", "1")
    fail(errors.UsageError("no"), "status")
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_verbose_shows_the_cause(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.StudyError("cannot read the studies")
    error.__cause__ = OSError("disk I/O error")
    fail(error, "-v", "status")
    assert capsys.readouterr().err == "error: cannot read the studies\n  cause: OSError: disk I/O error\n"


def test_options_of_a_command_do_not_make_it_verbose() -> None:
    assert _errors.Manner.of(["run", "-vv"]).verbosity == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupt_is_130(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(error) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_reader_that_goes_away_is_no_error() -> None:
    """Like `tao-automl --help | head -0`: quiet, and 141 as the shell's own programs."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "tao_automl", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
