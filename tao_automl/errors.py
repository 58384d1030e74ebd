"""Every error a user can cause: one sentence, a tip, a code and the exit code of its class.

AutoMLError
├─ UsageError     2   a wrong flag or name, data that cannot be trained on
├─ ConfigError    2   a file the user wrote: which file, which line, what is allowed there
├─ SkillError     2   a skill folder is wrong: file and key
├─ StudyError     2   a study exists already, has another space, is locked, cannot be read
├─ PlatformError  3   the machine is not ready: Ray, disk, a runtime
└─ JobError       1   a job ended without a usable result
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AutoMLError(Exception):
    """Root of the tree. `message` is one sentence, `tip` says what to do, `code` is for programs."""

    exit_code = 70
    code = "internal"

    def __init__(self, message: str, tip: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.tip = tip
        if code:
            self.code = code


class UsageError(AutoMLError):
    exit_code = 2
    code = "usage"


class ConfigError(AutoMLError):
    exit_code = 2
    code = "config"


class SkillError(AutoMLError):
    exit_code = 2
    code = "skill"


class StudyError(AutoMLError):
    exit_code = 2
    code = "study"


class PlatformError(AutoMLError):
    exit_code = 3
    code = "platform"


class JobError(AutoMLError):
    exit_code = 1
    code = "job"


def near(name: str, known: Iterable[str]) -> str:
    """'did you mean …?' for a misspelt name, else the list of what there is, else ''."""
    options = sorted(known)
    matches = difflib.get_close_matches(name, options, n=3, cutoff=0.6)
    if not matches:  # a path's last part is what people remember
        tail = name.rsplit(".", 1)[-1]
        matches = [option for option in options if option.rsplit(".", 1)[-1] == tail][:3]
    if matches:
        return "did you mean " + " or ".join(f"'{match}'" for match in matches) + "?"
    if 0 < len(options) <= 12:
        return "there is " + ", ".join(options)
    return ""
