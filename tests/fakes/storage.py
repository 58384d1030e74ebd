"""Optuna's storage in memory with the machines' clock, and a driver that dies at a chosen moment."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType, ModuleType
from typing import Any

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

_WRITES = (
    "create_new_trial",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
)


class Killed(BaseException):
    """Nothing in the program catches this, as nothing catches SIGKILL."""


class Fuse:
    """Burns down by one with each effect; at 0 the effect does not happen and the driver is dead."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.burnt = 0

    def burn(self) -> None:
        self.burnt += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


class FakeStorage(InMemoryStorage):
    """A trial starts and ends by `now`; each write burns the fuse. `told` lists each end of a trial."""

    def __init__(self, now: Callable[[], datetime], fuse: Fuse) -> None:
        super().__init__()
        self.now = now
        self.fuse = fuse
        self.told: list[int] = []
        self.started: dict[int, datetime] = {}
        self.ended: dict[int, datetime] = {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        if template_trial is None:
            self.started[self.get_trial(trial_id).number] = self.now()
        return trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:
        done = super().set_trial_state_values(trial_id, state, values)
        number = self.get_trial(trial_id).number
        if done and state.is_finished():
            self.told.append(number)
            self.ended[number] = self.now()
        elif done:
            self.started[number] = self.now()
        return done

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [self.timed(trial) for trial in super().get_all_trials(study_id, deepcopy, states)]

    def timed(self, trial: FrozenTrial) -> FrozenTrial:
        timed = copy.copy(trial)
        timed.datetime_start = self.started.get(trial.number)
        timed.datetime_complete = self.ended.get(trial.number)
        return timed


def _fused(name: str) -> Any:
    def write(self: Any, *args: Any, **named: Any) -> Any:
        self.fuse.burn()
        return inner(self, *args, **named)

    inner = getattr(FakeStorage, name)
    return write


for _name in _WRITES:
    setattr(FakeStorage, _name, _fused(_name))


class Fused:
    """Any object; the named methods burn the fuse before they work."""

    def __init__(self, inner: Any, fuse: Fuse, names: tuple[str, ...]) -> None:
        self.inner, self.fuse, self.names = inner, fuse, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in self.names:
            return found

        def method(*args: Any, **named: Any) -> Any:
            self.fuse.burn()
            return found(*args, **named)

        return method


@contextmanager
def dies_after(lines: int, *modules: ModuleType) -> Iterator[None]:
    """The driver is dead after so many lines of these modules, wherever it is then."""
    files = {module.__file__ for module in modules}
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
