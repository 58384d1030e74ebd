"""The copy of a study's folder in an object store: where it is, and what it leaves out."""

from __future__ import annotations

from pathlib import PurePosixPath

from tao_automl.execution import upload
from tao_automl.execution.upload import Snapshot, Upload
from tao_automl.layout import AttemptPaths
from tao_automl.plan import Plan
from tao_automl.search import sqlite
from tao_automl.tao import remote
from tao_automl.tao.remote import Address

DATABASE = "studies.db"  # in the copy, beside what else is one study's


def address(plan: Plan) -> Address | None:
    """Where a study's folder is copied to; None if nobody asks for that.

    Raises:
        UsageError: the setting is no address.
    """
    named: str | None = plan.settings["upload"]
    return remote.parse(named).below(plan.name) if named else None


def check(plan: Plan) -> None:
    """Raises:
    AutoMLError: a copy is asked for, and the store cannot be asked. Nothing is changed there.
    """
    to = address(plan)
    if to is not None:
        upload.check(to)


def of_study(plan: Plan) -> Upload | None:
    """The copy of the whole folder, and with it one of the trials' database, if that is a file."""
    to, database = address(plan), sqlite.path_of(plan.storage_url)
    if to is None:
        return None
    snapshot = Snapshot(DATABASE, database, lambda into: sqlite.backup(database, into)) if database else None
    return Upload(plan.paths.folder, to, lambda path: stays_here(plan, path), snapshot)


def of_action(plan: Plan, paths: AttemptPaths) -> Upload | None:
    """The part of the copy that is one action's."""
    to, inside = address(plan), PurePosixPath(plan.paths.relative(paths.folder))
    return Upload(paths.folder, to.below(str(inside)), lambda path: stays_here(plan, inside / path)) if to else None


def stays_here(plan: Plan, path: PurePosixPath) -> bool:
    """True for a path of the study's folder that its action, by the skill, does not send: `upload_excludes`."""
    if path.parts[0] == "trials":
        name, inside = "train", path.parts[3:]
    elif path.parts[0] == "actions":
        name, inside = "".join(path.parts[1:2]).rpartition("-")[0], path.parts[2:]
    else:
        return False
    action = plan.skill.actions.get(name)
    return bool(inside) and action is not None and upload.matches(action.upload_excludes, PurePosixPath(*inside))
