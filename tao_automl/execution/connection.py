"""Asks a service on this node that may be away for a while, and does not ask it too often then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

BACK_OFF_S = (0.5, 10.0)

Answer = TypeVar("Answer")


class NoAnswerError(Exception):
    """The service cannot be reached, or is not able to answer now."""


class RefusedError(Exception):
    """The service's own words for why it does not do something, with its HTTP status (0 if there is none)."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class Library(Protocol):
    """What is needed of a client library, so that it is imported when it is used."""

    def connect(self) -> Any:
        """A client that works. Raises one of `errors`."""
        ...

    def errors(self) -> tuple[type[Exception], ...]:
        """What its client raises."""
        ...

    def meaning(self, error: Exception) -> NoAnswerError | RefusedError:
        """What such an error says."""
        ...


class Connection:
    """A client that is made when it is needed, once.

    After a question without an answer all questions get none for a while, at once: 0.5 s, doubling to 10 s.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._client: Any = None
        self._lock = threading.Lock()
        self._wait_s = self._again_s = 0.0
        self._last = ""

    def ask(self, question: Callable[[Any], Answer], *, patient: bool = True) -> Answer:
        """The answer to a question that gets the client; `patient` leaves a silent service alone for a while.

        Raises:
            NoAnswerError, RefusedError
        """
        with self._answering(patient):
            return question(self._connected())

    def stream(self, question: Callable[[Any], Iterator[Answer]]) -> Iterator[Answer]:
        """The parts of an answer as they come. Raises as `ask` does."""
        with self._answering(patient=True):
            yield from question(self._connected())

    @contextlib.contextmanager
    def _answering(self, patient: bool) -> Iterator[None]:
        if patient and time.monotonic() < self._again_s:
            raise NoAnswerError(self._last)
        try:
            yield
        except self._library.errors() as error:
            meaning = self._library.meaning(error)
            if isinstance(meaning, NoAnswerError):
                least_s, most_s = BACK_OFF_S
                self._wait_s = min(most_s, max(least_s, self._wait_s * 2))
                self._again_s = time.monotonic() + self._wait_s
                self._last = str(meaning)
            else:
                self._wait_s = 0.0
            raise meaning from None
        self._wait_s = 0.0

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._library.connect()
            return self._client
