"""How values are written for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.cli import _words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0.0000"),
        (0.51273, "0.5127"),
        (12.5, "12.5000"),
        (2.5e-7, "2.5e-07"),
        (123456.0, "1.23e+05"),
    ],
)
def test_metric(value: float | None, text: str) -> None:
    assert _words.metric(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4, "0s"),
        (40, "40s"),
        (59.6, "1m00s"),
        (192, "3m12s"),
        (3 * 3600 + 720, "3h12m"),
        (2 * 86400 + 3 * 3600, "2d3h"),
        (None, ""),
    ],
)
def test_duration(value: float | None, text: str) -> None:
    assert _words.duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.000271, "0.000271"),
        (1e-5, "1e-05"),
        (64, "64"),
        ("vit_large", "vit_large"),
        ([1, 0.5], "[1, 0.5]"),
        ({"a": None}, "{a: null}"),
        (float("inf"), "inf"),
    ],
)
def test_value(value: object, text: str) -> None:
    assert _words.value(value) == text


def test_ago() -> None:
    now = datetime(2030, 1, 2, 12)
    assert _words.ago(now - timedelta(hours=3), now) == "3h00m ago"
    assert _words.ago(None, now) == ""


def test_size() -> None:
    assert [_words.size(size) for size in (12, 2048, 3 * 2**30)] == ["12 B", "2.0 KiB", "3.0 GiB"]


def test_path_is_relative_to_the_working_directory_where_it_can_be(tmp_path: Path) -> None:
    assert _words.path(tmp_path / "studies" / "a") == "studies/a"
    assert _words.path(Path("/usr/bin")) == "/usr/bin"


def test_path_of_a_link_is_not_that_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert _words.path(tmp_path / "link") == "link"


def test_bar_in_unicode_and_in_ascii() -> None:
    assert _words.bar(4, 10, unicode=True) == "━━━━╌╌╌╌╌╌  4/10"
    assert _words.bar(4, 10, unicode=False) == "####------  4/10"
    assert _words.bar(4, None, unicode=True) == "4"


@given(st.integers(0, 400), st.integers(1, 300))
def test_bar_has_one_length_for_one_total(done: int, total: int) -> None:
    assert len(_words.bar(min(done, total), total, unicode=True)) == len(_words.bar(0, total, unicode=True))


def test_short_names_tell_paths_apart() -> None:
    paths = ["train.optim.lr", "model.lr", "dataset.batch_size"]
    assert _words.short_names(paths) == {
        "train.optim.lr": "optim.lr",
        "model.lr": "model.lr",
        "dataset.batch_size": "batch_size",
    }


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), unique=True))
def test_short_names_are_unique_ends_of_their_paths(paths: list[str]) -> None:
    named = _words.short_names(paths)
    assert len(set(named.values())) == len(paths)
    assert all(path.endswith(name) for path, name in named.items())


def test_most_varied_parameters_come_first_and_constant_ones_never() -> None:
    configs = [
        {"lr": 1e-5, "batch": 2, "same": 1, "prob": 0.0, "kind": "a"},
        {"lr": 1e-3, "batch": 8, "same": 1, "prob": 0.5, "kind": "b"},
    ]
    assert _words.most_varied(configs) == ["lr", "batch", "prob"]
    assert "same" not in _words.most_varied(configs, 10)


def test_nothing_varies_without_trials() -> None:
    assert _words.most_varied([]) == []
