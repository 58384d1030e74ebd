"""`tao-automl report`: one page about a study."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli import study_on_disk


class Page(HTMLParser):
    """Whether what is opened is closed, and what the page says."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return study_on_disk.make(tmp_path / "studies").folder


def test_the_page_has_the_result_and_every_trial(call, study: Path) -> None:
    said = call("report", "coco")
    assert (said.code, said.out) == (0, "studies/coco/report.html\n")
    page = Page((study / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "val_mAP50 0.5127: trial 1, epoch 8" in page.said
    assert "18 more trials that end well" in page.said
    assert page.tags.count("circle") == 4
    assert "http" not in (study / "report.html").read_text(encoding="utf-8")


def test_the_page_of_a_study_without_trials_says_so(call, tmp_path: Path) -> None:
    study_on_disk.create(tmp_path / "studies", "empty")
    assert call("report", "empty", "-o", "page.html").code == 0
    assert "There is nothing to show yet." in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_said(call, study: Path) -> None:
    said = call("report", "coco", "-o", "missing/page.html")
    assert said.code == 2
    assert "missing/page.html cannot be written" in said.err
