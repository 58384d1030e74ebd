"""What is known not to work is not started: the lines `refuse` of a skill's `automl.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tao_automl.errors import UsageError
from tao_automl.tao import keypath, match
from tao_automl.tao.skill import Action, Skill


def check(skill: Skill, action: Action, image: str | None, spec: Mapping[str, Any]) -> None:
    """Refuse an action with its full spec.

    Args:
        image: the container that would run it, None where it runs in none.

    Raises:
        UsageError: the skill says that it does not work, and why.
    """

    def get(path: str) -> Any:
        return keypath.get(spec, path, None)

    for fact in skill.facts.after.refusals:
        if fact.action != action.name:
            continue
        if fact.image is not None and (image is None or not match.holds(image, fact.image, get)):
            continue
        if fact.unless and match.all_hold(fact.unless, get):
            continue
        if match.all_hold(fact.when, get):
            raise UsageError(f"{action.name} is refused: {fact.why}", tip=fact.tip, code="known-not-to-work")
