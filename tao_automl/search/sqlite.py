"""The SQLite file behind a storage: is it there, is it Optuna's, can this version read it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from tao_automl.errors import StudyError

# The newest table layout of Optuna 5.0 (its name in `alembic_version`).
REVISION = "v3.2.0.a"
# A commit takes milliseconds; a reader or writer that meets one waits for it this long.
BUSY_TIMEOUT_S = 60.0

_OPTUNA = frozenset(
    {
        "studies",
        "study_directions",
        "study_user_attributes",
        "study_system_attributes",
        "trials",
        "trial_params",
        "trial_values",
        "trial_intermediate_values",
        "trial_user_attributes",
        "trial_system_attributes",
        "trial_heartbeats",
        "version_info",
        "alembic_version",
    }
)
_TIP = "name another file with --storage or --studies-dir"


def path_of(url: str) -> Path | None:
    """The file of an `sqlite:///` URL; None for another database and for SQLite in memory.

    Raises:
        StudyError: a path that an SQLite URL cannot hold.
    """
    text = url.removeprefix("sqlite:///")
    if text == url or text in ("", ":memory:"):
        return None
    if "?" in text:
        raise StudyError(f"the storage's path may not hold a '?': {text}", _TIP)
    return Path(text)


def backup(path: Path, into: Path) -> None:
    """Copy a database as it is at one moment, also while others write to it.

    Raises:
        StudyError: it is damaged, or locked for long.
    """
    try:
        with closing(connect(path)) as source, closing(sqlite3.connect(into)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise StudyError(f"{path} cannot be copied: {error}", _TIP) from None


def connect(path: Path) -> sqlite3.Connection:
    """For reading. Read-write to SQLite, so that it can roll back what a killed writer left, but no
    statement of ours can write, and a missing file stays missing.
    """
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises:
    StudyError: what SQLite says against the file, in one sentence.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise StudyError(f"cannot read the studies in {path}: {error}", _TIP, "storage") from error


def tables(path: Path) -> frozenset[str]:
    """Names of the file's tables; none for an empty file.

    Raises:
        StudyError: no SQLite file, or it cannot be read.
    """
    with readable(path), closing(connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return frozenset(name for (name,) in rows if not name.startswith("sqlite_"))


class State(Enum):
    """What a file holds."""

    EMPTY = "no study yet: nothing, or tables that were still being made"
    READY = "Optuna's tables of the revision we know"
    OTHER = "Optuna's tables of another revision"


def inspect(path: Path) -> State:
    """What the file holds. Reads only.

    Raises:
        StudyError: no SQLite file, it cannot be read, or it belongs to another program.
    """
    found = tables(path)
    if found - _OPTUNA and not {"studies", "trials", "alembic_version"} <= found:
        raise StudyError(
            f"{path} is the database of another program: it has a table '{min(found - _OPTUNA)}'",
            _TIP,
            "storage",
        )
    revision = _first(path, "SELECT version_num FROM alembic_version") if "alembic_version" in found else None
    if revision is not None:
        return State.READY if revision == REVISION and found >= _OPTUNA else State.OTHER
    if "studies" in found and _first(path, "SELECT study_id FROM studies LIMIT 1") is not None:
        return State.OTHER
    return State.EMPTY


def _first(path: Path, query: str) -> Any:
    with readable(path), closing(connect(path)) as connection:
        row = connection.execute(query).fetchone()
        return None if row is None else row[0]
