"""A skill: one folder that says how a model is trained, in TAO's files and our `automl.yaml`.

```
<skill>/automl.yaml                                what tuning must know; what it leaves out is derived
        SKILL.md                                   the metric, where nothing else states it
        references/skill_info.yaml                 actions: command, image, inputs, outputs
        references/tao-deploy-*.skill_info.yaml    the same for the deploy container
        references/spec_template_<action>.yaml     the full spec of an action
        schemas/<action>.schema.json               its schema
```

An action of the deploy container goes by its own name where the model has none of that name, else by
`deploy_<action>`; its files are always `spec_template_deploy_<action>.yaml` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl.errors import SkillError, UsageError, near
from tao_automl.tao import derived, yamlfile
from tao_automl.tao import template as templates
from tao_automl.tao.facts import NEEDED, Facts
from tao_automl.tao.schema import Schema
from tao_automl.tao.skillinfo import DEPLOY_INFO, INFO, Action, DataSource, Info, Input, with_deployed

__all__ = ["FACTS", "INFO", "Action", "DataSource", "Info", "Input", "Skill", "load"]

FACTS = "automl.yaml"


@dataclass(frozen=True)
class Skill:
    """One skill folder. `model` is the name users type; `shorthand` maps short names to key paths."""

    folder: Path
    name: str
    model: str
    network_arch: str
    automl_enabled: bool
    actions: Mapping[str, Action]
    shorthand: Mapping[str, str]
    facts: Facts

    def action(self, name: str) -> Action:
        """An action by name.

        Raises:
            UsageError: the model has no such action.
        """
        if name not in self.actions:
            raise UsageError(f"model '{self.model}' has no action '{name}'", tip=near(name, self.actions))
        return self.actions[name]

    def schema(self, action: str) -> Schema:
        """The schema of an action's spec. A deploy action without one of its own has that of its task.

        Raises:
            SkillError: the file is missing or unreadable.
        """
        return _schema(self, self._file(action), action)

    def template(self, action: str) -> dict[str, Any]:
        """The full spec of an action with TAO's default values.

        Raises:
            SkillError: the file is missing or no mapping.
            ConfigError: it cannot be read.
        """
        return _template(self, self._file(action), self.actions.get(action))

    def _file(self, action: str) -> str:
        return self.actions[action].file if action in self.actions else action


@dataclass(frozen=True)
class _Folder:
    """What is missing from a folder is said with these."""

    folder: Path
    model: str
    automl_enabled: bool


def _template(at: Skill | _Folder, name: str, action: Action | None) -> dict[str, Any]:
    references = at.folder / "references"
    names = [f"spec_template_{name}{suffix}" for suffix in templates.SUFFIXES]
    stated = Path(action.template) if action is not None and action.template else None
    names += [stated.name] if stated is not None and stated.suffix in templates.SUFFIXES else []
    path = next((references / file for file in names if (references / file).is_file()), references / names[0])
    _require(at, path)
    return templates.load(path)


def _schema(at: Skill | _Folder, name: str, action: str) -> Schema:
    """A deploy action has the schema of its task, if it has none of its own."""
    schemas = at.folder / "schemas"
    task = at.actions[action].task if isinstance(at, Skill) and action in at.actions else name
    known = (schemas / f"{file}.schema.json" for file in (name, task))
    path = next((file for file in known if file.is_file()), schemas / f"{task}.schema.json")
    _require(at, path)
    return Schema.load(path)


def _require(at: Skill | _Folder, path: Path) -> None:
    if path.is_file():
        return
    file = path.relative_to(at.folder).as_posix()
    enabled = f"AutoML is enabled for {at.model}, but it" if at.automl_enabled else at.model
    raise SkillError(
        f"{enabled} is not runnable until its schemas are generated: {file} is missing",
        tip=f"put it into {at.folder}",
        code="schema-missing",
    )


def load(folder: Path | str, facts: Path | None = None) -> Skill:
    """Read a skill folder. Schemas and templates are read when they are asked for.

    What `automl.yaml` does not say is derived from TAO's files; then those of training are read at once.

    Args:
        facts: an `automl.yaml` that stands elsewhere; the folder's own counts more.

    Raises:
        SkillError: no such folder, a file is missing, skill_info.yaml lacks a key, or nothing says a thing that
            a training needs.
        ConfigError: `automl.yaml` is wrong, or a file cannot be read.
    """
    folder = Path(folder).expanduser()
    if not (folder / INFO).is_file():
        raise SkillError(f"{folder} is no skill: {INFO} is missing", tip="name a folder such as skills/tao-train-…")
    reader, info = Info.read(folder / INFO)
    arch = reader.text(info, "", "network_arch")
    actions, shorthand = reader.actions(info), reader.shorthand(info)
    if "train" not in actions:
        raise reader.error("actions", "there is no action train, so there is nothing to tune")
    enabled = info.get("automl_enabled") is True
    known = _facts(folder, info, actions["train"], enabled, facts)
    for path in sorted(folder.glob(DEPLOY_INFO)):
        reader, deployed = Info.read(path)
        actions = with_deployed(actions, reader.actions(deployed))
        shorthand = {**reader.shorthand(deployed), **shorthand}
    return Skill(
        folder=folder,
        name=folder.resolve().name,
        model=known.model,
        network_arch=arch,
        automl_enabled=enabled,
        actions=actions,
        shorthand={**shorthand, **known.aliases},
        facts=known,
    )


def _facts(folder: Path, info: Mapping[str, Any], train: Action, enabled: bool, elsewhere: Path | None) -> Facts:
    path = folder / FACTS
    if elsewhere is not None and not path.is_file():
        path = elsewhere
    own: Any = {}
    locate: yamlfile.Locate = lambda _path: 1  # noqa: E731
    if path.is_file():
        own, locate = yamlfile.load(path)
        own = {} if own is None else own
        if not isinstance(own, dict) or set(own) >= NEEDED:
            return Facts.parse(own, locate, path)
    at = _Folder(folder, derived.model_of(folder), enabled)
    source = derived.Source(
        folder, info, _schema(at, "train", "train"), _template(at, "train", train), train.spec_params, train.outputs
    )
    document = derived.document(source)
    if "epochs" not in {**document["keys"], **_mapping(own.get("keys"))}:
        raise SkillError(
            f"{folder}: nothing says how many epochs a training of {at.model} has",
            tip=f"write the line `keys: {{epochs: KEY}}` into {folder / FACTS}, with a key of the train spec",
            code="epochs-unknown",
        )
    return Facts.parse(own, locate, path, document)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
