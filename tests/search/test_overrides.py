from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.search.overrides import Choices, Range, read
from tests.search.flags import parse_search


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.optim.lr", None),
        ("train.optim.lr=1e-5..1e-3", Range(1e-5, 1e-3)),
        ("train.optim.lr=1e-5..1e-3:log", Range(1e-5, 1e-3, log=True)),
        ("train.optim.lr = 1e-5 .. 1e-3 : log", Range(1e-5, 1e-3, log=True)),
        ("k=100..900:50", Range(100, 900, step=50)),
        ("k=-2..3", Range(-2, 3)),
        ("k=.5..1.", Range(0.5, 1.0)),
        ("k=1,2,4", Choices((1, 2, 4))),
        ("k=a, b,c", Choices(("a", "b", "c"))),
        ("k=true,false", Choices((True, False))),
        ("k=null,0.1", Choices((None, 0.1))),
        ("dataset.sources[0].weight=0.1..0.9", Range(0.1, 0.9)),
    ],
)
def test_a_search_flag_is_read(text, expected):
    path, wanted = parse_search(text)
    assert path == text.split("=")[0].strip()
    assert wanted == expected


def test_whole_numbers_stay_whole():
    _, wanted = parse_search("k=1..8")
    assert isinstance(wanted, Range)
    assert (type(wanted.low), type(wanted.high)) == (int, int)


@pytest.mark.parametrize(
    ("text", "message", "tip"),
    [
        (
            "lr=1e-3..1e-5",
            "the low end of lr is above its high end: 0.001..1e-05",
            "--search lr=1e-05..0.001",
        ),
        ("lr=1e-3..1e-5:log", "above its high end", "--search lr=1e-05..0.001:log"),
        ("lr=1..1", "holds one value only", "--set lr=1"),
        ("lr=", "cannot read --search lr=", "KEY=LOW..HIGH"),
        ("lr=a..b", "cannot read the range of lr", "KEY=LOW..HIGH"),
        ("lr=1..", "cannot read the range of lr", "KEY=LOW..HIGH"),
        ("lr=1..2:logarithmic", "cannot read the range of lr", "KEY=LOW..HIGH"),
        ("lr=0..2:log", "must begin above 0", ":log"),
        ("lr=0..2:0", "step of lr must be above 0", "KEY"),
        ("lr=1..1e999", "must be finite", "KEY"),
        ("k=a", "k has one choice only", "--set k=a"),
        ("k=a,b,a", "name a twice", "once"),
        ("k=a,,b", "cannot read the choices of k", "KEY"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_way_out(text, message, tip):
    with pytest.raises(UsageError) as raised:
        parse_search(text)
    assert message in raised.value.message
    assert tip in raised.value.tip


def test_settings_of_a_study_file_read_like_flags():
    read_back = read(
        {
            "a": None,
            "b": "1e-5..1e-3:log",
            "c": {"low": 1e-5, "high": 1e-3, "log": True},
            "d": [1, 2],
            "e": {"choices": ["x", "y"]},
        },
        ["f"],
    )
    assert read_back.search["a"] is None
    assert read_back.search["b"] == read_back.search["c"] == Range(1e-5, 1e-3, log=True)
    assert read_back.search["d"] == Choices((1, 2))
    assert read_back.search["e"] == Choices(("x", "y"))
    assert read_back.keep == {"f": "kept by --keep"}


@pytest.mark.parametrize(
    "value", [{"low": 1}, {"low": 1, "high": 2, "lgo": True}, {"low": "a", "high": "b"}, [[1], [2]]]
)
def test_broken_settings_are_refused(value):
    with pytest.raises(UsageError, match="of k"):
        read({"k": value}, [])


def test_a_key_is_searched_or_kept_but_not_both():
    with pytest.raises(UsageError, match="k is both searched and kept"):
        read({"k": None}, ["k"])


@given(
    st.floats(1e-9, 1e9, allow_nan=False, exclude_max=True),
    st.floats(1e-9, 1e9, allow_nan=False),
    st.booleans(),
)
def test_a_range_reads_back_as_the_same_range(low, width, log):
    wanted = Range(low, low + width + 1e-6 * low, log=log)
    text = f"k={wanted.low!r}..{wanted.high!r}" + (":log" if log else "")
    assert parse_search(text) == ("k", wanted)
