"""Asking a service that is away for a while."""

from __future__ import annotations

import time

import pytest

from tao_automl.execution import connection
from tao_automl.execution.connection import Connection, NoAnswerError, RefusedError


class Service:
    """A library whose client is a function; counts what reaches it."""

    def __init__(self) -> None:
        self.away, self.asked = True, 0

    def connect(self):
        return self.answer

    def errors(self):
        return (ConnectionError, ValueError)

    def meaning(self, error):
        return NoAnswerError("away") if isinstance(error, ConnectionError) else RefusedError(400, "no")

    def answer(self, question: str) -> str:
        self.asked += 1
        if self.away:
            raise ConnectionError
        if question == "bad":
            raise ValueError
        return question


def test_a_silent_service_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BACK_OFF_S", (0.05, 0.1))
    service = Service()
    engine = Connection(service)
    until_s = time.monotonic() + 0.4
    while time.monotonic() < until_s:
        with pytest.raises(NoAnswerError, match="away"):
            engine.ask(lambda client: client("x"))
    assert 4 <= service.asked <= 6
    with pytest.raises(NoAnswerError):
        engine.ask(lambda client: client("x"), patient=False)
    service.away = False
    with pytest.raises(NoAnswerError):
        engine.ask(lambda client: client("x"))
    assert engine.ask(lambda client: client("x"), patient=False) == "x"


def test_a_refusal_is_an_answer() -> None:
    service = Service()
    service.away = False
    engine = Connection(service)
    for _ in range(2):
        with pytest.raises(RefusedError, match="no") as raised:
            engine.ask(lambda client: client("bad"))
        assert raised.value.status == 400
    assert engine.ask(lambda client: client("good")) == "good"


def test_a_stream_may_break_off_in_the_middle() -> None:
    service = Service()
    service.away = False
    engine = Connection(service)

    def parts(client):
        yield client("one")
        service.away = True
        yield client("two")

    found = engine.stream(parts)
    assert next(found) == "one"
    with pytest.raises(NoAnswerError):
        next(found)
