"""The wire format of protocol buffers, as far as ONNX files need it."""

from __future__ import annotations

from collections.abc import Iterator

Value = int | bytes

_VARINT, _FIXED64, _CHUNK, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}  # bytes


def varint(number: int) -> bytes:
    """A whole number, 7 bits a byte; a negative one counts as its 64-bit two's complement."""
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def integer(field: int, number: int) -> bytes:
    """A field with a whole number."""
    return varint(field << 3 | _VARINT) + varint(number)


def chunk(field: int, content: bytes | str) -> bytes:
    """A field with text, bytes or another message."""
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | _CHUNK) + varint(len(data)) + data


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """The (field, value) pairs of a message in their order; of fixed-size values the bytes.

    Raises:
        ValueError: it is no message, or it is cut off.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            number, place = _varint(data, place)
            yield key >> 3, number
            continue
        if kind == _CHUNK:
            length, place = _varint(data, place)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"there is no wire type {kind}")
        if place + length > len(data):
            raise ValueError("the message is cut off")
        yield key >> 3, data[place : place + length]
        place += length


def signed(value: Value) -> list[int]:
    """A repeated whole number, be it one value of several or all of them packed in one."""
    if isinstance(value, int):
        return [value - (1 << 64) if value >> 63 else value]
    numbers, place = [], 0
    while place < len(value):
        number, place = _varint(value, place)
        numbers += signed(number)
    return numbers


def _varint(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise ValueError("the message is cut off")
        number |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 0x80:
            return number, place
