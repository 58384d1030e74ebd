"""The wire format, against what protocol buffers say of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.standin import protobuf


@given(st.lists(st.tuples(st.integers(1, 500), st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300)))))
def test_what_is_written_reads_back(message: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(
        protobuf.integer(field, value) if isinstance(value, int) else protobuf.chunk(field, value)
        for field, value in message
    )
    assert list(protobuf.fields(data)) == message


@given(st.integers(-(2**63), 2**63 - 1))
def test_negative_numbers_keep_their_sign(number: int) -> None:
    [(_, value)] = protobuf.fields(protobuf.integer(1, number))
    assert protobuf.signed(value) == [number]


def test_known_bytes() -> None:
    assert protobuf.integer(1, 150) == b"\x08\x96\x01"  # the example of the format's documentation
    assert protobuf.chunk(2, "testing") == b"\x12\x07testing"
    assert protobuf.signed(b"\x03\x8e\x02\x9e\xa7\x05") == [3, 270, 86942]  # packed
    assert list(protobuf.fields(b"\x0d\x01\x02\x03\x04")) == [(1, b"\x01\x02\x03\x04")]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    try:
        list(protobuf.fields(data))
    except ValueError:
        return


@pytest.mark.parametrize("data", [b"\x12\x05abc", b"\x08", b"\x0b", b"\x08" + b"\xff" * 11])
def test_what_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|wire type"):
        list(protobuf.fields(data))
