"""The copy of a study's folder in an object store: where it is, and what it leaves out."""

from __future__ import annotations

from pathlib import PurePosixPath

from tao_automl.execution import upload
from tao_automl.execution.upload import Upload
from tao_automl.layout import AttemptPaths
from tao_automl.plan import Plan
from tao_automl.tao import remote
from tao_automl.tao.remote import Address


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
    """The copy of the whole folder."""
    to = address(plan)
    return Upload(plan.paths.folder, to, lambda path: stays_here(plan, path)) if to else None


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
