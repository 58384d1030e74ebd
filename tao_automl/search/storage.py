"""The storage behind a URL: made, opened for writing or only for looking, and its errors in one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage

from tao_automl.errors import StudyError
from tao_automl.search import sqlite
from tao_automl.search.readonly import ReadOnlyStorage

START = "start one with `tao-automl run`"


def open_storage(url: str, *, create: bool = True) -> BaseStorage:
    """The storage behind an SQLAlchemy URL, for reading and writing.

    SQLite keeps its rollback journal (not WAL, which fails on network disks); who meets another process's
    commit waits for it. `create=False` makes no file and no table.

    Raises:
        StudyError: missing (`create=False`), unreadable, of another program or of another Optuna version.
    """
    path = sqlite.path_of(url)
    if path is None:
        return _open(None, url, make_tables=create)
    if create and not path.exists():
        _make_file(path)
    empty = _state(path, create) is sqlite.State.EMPTY
    return _open(path, url, make_tables=empty)


def open_readonly(url: str) -> BaseStorage:
    """The same storage for commands that only look: fast, and it can neither create nor change anything.

    Raises:
        StudyError: as `open_storage(url, create=False)`.
    """
    path = sqlite.path_of(url)
    if path is not None and _state(path, create=False) is sqlite.State.READY:
        return ReadOnlyStorage(path)
    return open_storage(url, create=False)


def _state(path: Path, create: bool) -> sqlite.State:
    if not path.exists():
        if not create:
            raise StudyError(f"there are no studies: {path} does not exist", START, "no_study")
        return sqlite.State.EMPTY
    state = sqlite.inspect(path)
    if state is sqlite.State.EMPTY and not create:
        raise StudyError(f"there are no studies in {path} yet", START, "no_study")
    return state


def _make_file(path: Path) -> None:
    """Make the database beside its place and link it there: nobody meets half of its tables, the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _open(fresh, f"sqlite:///{fresh}", make_tables=True).engine.dispose()
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _open(path: Path | None, url: str, make_tables: bool) -> RDBStorage:
    from sqlalchemy import event  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 0.2 s that readers do not need

    engine = {"connect_args": {"timeout": sqlite.BUSY_TIMEOUT_S}} if path else {}
    try:
        # Optuna fills {SCHEMA_VERSION} into a URL: a brace in a path must not be read as that.
        escaped = url.replace("{", "{{").replace("}", "}}")
        storage = RDBStorage(escaped, engine_kwargs=engine, skip_table_creation=not make_tables)
    except StorageInternalError as error:
        raise _unusable(path or url, error.__cause__ or error) from error
    except (SQLAlchemyError, ImportError, RuntimeError) as error:  # RuntimeError: tables of another Optuna
        raise _unusable(path or url, error) from error
    if path:
        event.listen(storage.engine, "connect", _sync_less)
        storage.engine.dispose()  # the connections that were made before
    return storage


def _sync_less(connection: Any, _record: Any) -> None:
    """One flush to disk less a commit: safe when a process is killed, and when power fails on a journaling disk."""
    connection.execute("PRAGMA synchronous = NORMAL")


def _unusable(where: Path | str, error: BaseException) -> StudyError:
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause).split()).rstrip(".")
    return StudyError(f"cannot use the storage {where}: {said}", "name another with --storage", "storage")


@contextmanager
def storage_errors(study: str) -> Iterator[None]:
    """Raises:
    StudyError: what the database says, in one sentence, instead of SQLAlchemy's traceback.
    """
    try:
        yield
    except StorageInternalError as error:
        raise _unusable(f"of the study '{study}'", error.__cause__ or error) from error
