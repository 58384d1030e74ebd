"""What prints: two streams, colour on a terminal only, the width of the terminal or none."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console as RichConsole
from rich.text import Text

from tao_automl.cli import _console
from tao_automl.cli._console import UNBOUNDED, Console
from tests.cli import study_on_disk

COLOUR = re.compile(r"\x1b\[[\d;]*3\d")
GREEN = Text("complete", style="green")


def test_results_and_talk_have_a_stream_each(capsys) -> None:
    console = Console()
    console.out("result")
    console.say("talk", "more")
    assert capsys.readouterr() == ("result\n", "talk\nmore\n")


def test_a_document_is_one_line_of_json(capsys) -> None:
    Console().document({"text": "ä [bold]\n", "path": Path("a/b"), "none": None})
    out = capsys.readouterr().out
    assert (out.count("\n"), out[-1]) == (1, "\n")
    assert json.loads(out) == {"text": "ä [bold]\n", "path": "a/b", "none": None}


def test_a_document_never_holds_nan(capsys) -> None:
    with pytest.raises(ValueError):
        Console().document({"value": float("nan")})
    assert capsys.readouterr().out == ""


def test_text_is_printed_as_it_is(capsys) -> None:
    """No markup, no emoji, no folding: paths and log lines hold all of that."""
    text = "[red]x[/red] :smile: " + "long " * 60 + "end"
    Console().out(text)
    assert capsys.readouterr().out == text + "\n"


def test_a_pipe_gets_no_colour(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    Console().out(GREEN)
    assert capsys.readouterr().out == "complete\n"


def test_a_pipe_has_no_width_unless_columns_says_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Console().width == 100
    for columns in ("", "wide"):
        monkeypatch.setenv("COLUMNS", columns)
        assert Console().width == UNBOUNDED
    monkeypatch.delenv("COLUMNS")
    assert Console().width == UNBOUNDED


def test_nothing_is_drawn_where_nobody_looks() -> None:
    assert Console().live is None


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("latin-1", False)]
)
def test_unicode_is_a_matter_of_the_encoding(encoding: str, expected: bool) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert _console.is_unicode(RichConsole(file=stream)) == expected


# A real terminal


def typed(folder: Path, *args: str, **variables: str) -> str:
    """What a command prints on a terminal."""
    leader, follower = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "LC_ALL")}
    with subprocess.Popen(
        [sys.executable, "-m", "tao_automl", *args],
        cwd=folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**kept, "TERM": "xterm-256color", **variables},
    ) as process:
        os.close(follower)
        said = b""
        try:
            while part := os.read(leader, 65536):
                said += part
        except OSError:  # the other end of a terminal is closed
            pass
        assert process.wait() == 0
    os.close(leader)
    return said.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("terminal")
    study_on_disk.make(found / "studies")
    return found


def test_a_terminal_gets_colour(folder: Path) -> None:
    said = typed(folder, "status", "coco", COLUMNS="100")
    assert COLOUR.search(said)
    assert "━" in said


def test_no_color_is_respected(folder: Path) -> None:
    said = typed(folder, "status", "coco", COLUMNS="100", NO_COLOR="1")
    assert "complete" in said
    assert not COLOUR.search(said)


def test_a_terminal_without_unicode_gets_ascii(folder: Path) -> None:
    said = typed(folder, "status", "coco", COLUMNS="100", PYTHONIOENCODING="ascii", NO_COLOR="1")
    assert said.isascii()
    assert "##########" in said
