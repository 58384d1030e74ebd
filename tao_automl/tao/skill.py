"""A skill: one folder that says how a model is trained, in TAO's files and our `automl.yaml`.

```
<skill>/automl.yaml                                what tuning must know
        references/skill_info.yaml                 actions: command, image, inputs, outputs
        references/tao-deploy-*.skill_info.yaml    the same for the deploy container
        references/spec_template_<action>.yaml     the full spec of an action
        schemas/<action>.schema.json               its schema
```

An action of the deploy container goes by its own name where the model has none of that name, else by
`deploy_<action>`; its files are always `spec_template_deploy_<action>.yaml` and so on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tao_automl.errors import AutoMLError, SkillError, UsageError, near
from tao_automl.tao import yamlfile
from tao_automl.tao.facts import Facts
from tao_automl.tao.schema import Schema

FACTS = "automl.yaml"
INFO = "references/skill_info.yaml"
DEPLOY_INFO = "references/tao-deploy-*.skill_info.yaml"
_DEPLOY = "deploy_"
_PREFIX = re.compile(r"tao_[a-z]+_")


@dataclass(frozen=True)
class Input:
    """What an action reads at a key of its spec: `type` is file, folder or list."""

    type: str
    optional: bool = False


@dataclass(frozen=True)
class DataSource:
    """Where the spec names data. `source` is TAO's word for the part: train_datasets, eval_dataset …

    `files` maps a part of the value to the file of a dataset that goes there; a value without parts has one
    entry, under "". `many`: more than one dataset may be named. `as_list`: the value is a list of them.
    """

    key: str
    source: str
    many: bool
    files: Mapping[str, str]
    as_list: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Action:
    """One thing a container can do. `command` holds `{config_path}` where the spec's path goes.

    `deploy`: the deploy container does it, which has spec templates of its own.
    """

    name: str
    command: str
    image: str
    inputs: Mapping[str, Input]
    outputs: Mapping[str, str]
    spec_params: Mapping[str, str]
    data_sources: tuple[DataSource, ...]
    config_format: str
    upload_excludes: tuple[str, ...]
    deploy: bool = False

    @property
    def task(self) -> str:
        """TAO's word for it: that of the command, of its group in the spec, and of its results folder."""
        return self.name.removeprefix(_DEPLOY) if self.deploy else self.name

    @property
    def file(self) -> str:
        """What its schema and template are called after."""
        return _DEPLOY + self.task if self.deploy else self.name


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
        path = self._schema_file(self._file(action))
        if not path.is_file() and action in self.actions:
            path = self._schema_file(self.actions[action].task)
        self._require(path)
        return Schema.load(path)

    def template(self, action: str) -> dict[str, Any]:
        """The full spec of an action with TAO's default values.

        Raises:
            SkillError: the file is missing or no mapping.
            ConfigError: it is not YAML.
        """
        path = self.folder / "references" / f"spec_template_{self._file(action)}.yaml"
        self._require(path)
        data, _ = yamlfile.load(path)
        if not isinstance(data, dict):
            raise SkillError(f"{path} is no spec: a mapping is expected")
        return data

    def _file(self, action: str) -> str:
        return self.actions[action].file if action in self.actions else action

    def _schema_file(self, name: str) -> Path:
        return self.folder / "schemas" / f"{name}.schema.json"

    def _require(self, path: Path) -> None:
        if path.is_file():
            return
        file = path.relative_to(self.folder).as_posix()
        enabled = f"AutoML is enabled for {self.model}, but it" if self.automl_enabled else self.model
        raise SkillError(
            f"{enabled} is not runnable until its schemas are generated: {file} is missing",
            tip=f"put it into {self.folder}",
            code="schema-missing",
        )


def load(folder: Path | str) -> Skill:
    """Read a skill folder. Schemas and templates are read when they are asked for.

    Raises:
        SkillError: no such folder, a file is missing, or skill_info.yaml lacks a key.
        ConfigError: `automl.yaml` is wrong, or a file is not YAML.
    """
    folder = Path(folder).expanduser()
    for file in (INFO, FACTS):
        if not (folder / file).is_file():
            raise SkillError(f"{folder} is no skill: {file} is missing", tip="name a folder such as skills/tao-train-…")
    reader, info = _Info.read(folder / INFO)
    arch = reader.text(info, "", "network_arch")
    facts = Facts.load(folder / FACTS)
    actions, shorthand = reader.actions(info), reader.shorthand(info)
    for path in sorted(folder.glob(DEPLOY_INFO)):
        reader, deployed = _Info.read(path)
        actions = _with_deployed(actions, reader.actions(deployed))
        shorthand = {**reader.shorthand(deployed), **shorthand}
    return Skill(
        folder=folder,
        name=folder.resolve().name,
        model=facts.model,
        network_arch=arch,
        automl_enabled=info.get("automl_enabled") is True,
        actions=actions,
        shorthand={**shorthand, **facts.aliases},
        facts=facts,
    )


def _with_deployed(own: Mapping[str, Action], deployed: Mapping[str, Action]) -> dict[str, Action]:
    """The model's actions with those of the deploy container. One that both name, in the same image, is one."""
    merged = dict(own)
    for name, action in deployed.items():
        if name not in own:
            merged[name] = replace(action, deploy=True)
        elif own[name].image == action.image:
            merged[name] = replace(own[name], deploy=True)
        else:
            merged[_DEPLOY + name] = replace(action, name=_DEPLOY + name, deploy=True)
    return merged


def discover(root: Path) -> tuple[Skill, ...]:
    """Every skill below a folder, by model name. Folders without an `automl.yaml` are not ours.

    Raises:
        SkillError, ConfigError: a skill cannot be read.
    """
    return tuple(sorted((load(folder) for folder in _folders(root)), key=lambda skill: skill.model))


def find(name: str, root: Path) -> Skill:
    """The skill that users call `name`: its model, its folder with or without prefix, or its network.

    Raises:
        UsageError: no skill has the name.
        SkillError, ConfigError: the skill of that name cannot be read.
    """
    wanted = _plain(name)
    folders = _folders(root)
    for folder in folders:
        if wanted in _folder_names(folder):
            return load(folder)
    names: list[str] = []
    for folder in folders:
        skill = _loaded(folder)
        if skill is None:
            continue
        if wanted in (_plain(skill.model), _plain(skill.network_arch)):
            return skill
        names.append(skill.model)
    tip = near(wanted, names)
    raise UsageError(f"no model '{name}'", tip=f"{tip} tao-automl models lists them".strip(), code="model-unknown")


def _folders(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob(f"*/{FACTS}"))


def _loaded(folder: Path) -> Skill | None:
    """A skill that is only looked at: one that cannot be read must not stand in the way of another."""
    try:
        return load(folder)
    except AutoMLError:
        return None


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _folder_names(folder: Path) -> set[str]:
    name = _plain(folder.name)
    return {name, _PREFIX.sub("", name, count=1)}


@dataclass(frozen=True)
class _Info:
    """Reads skill_info.yaml; errors name file and line. Keys that tuning does not need are passed over."""

    path: Path
    locate: yamlfile.Locate

    @classmethod
    def read(cls, path: Path) -> tuple[_Info, dict[str, Any]]:
        """The reader of a file, and what the file holds."""
        content, locate = yamlfile.load(path)
        reader = cls(path, locate)
        return reader, reader.mapping(content, "")

    def error(self, at: str, message: str) -> SkillError:
        return SkillError(f"{self.path}:{self.locate(at)}: {message}")

    def mapping(self, value: Any, at: str) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(at, f"{at or 'the file'} must be a mapping")
        return value

    def part(self, parent: Mapping[str, Any], at: str, key: str) -> dict[str, Any]:
        return self.mapping(parent.get(key), f"{at}.{key}" if at else key)

    def text(self, parent: Mapping[str, Any], at: str, key: str) -> str:
        value = parent.get(key)
        where = f"{at}.{key}" if at else key
        if not isinstance(value, str) or not value:
            raise self.error(where, f"{where} is missing")
        return value

    def shorthand(self, info: Mapping[str, Any]) -> dict[str, str]:
        return {str(key): str(path) for key, path in self.part(info, "", "spec_shorthand_keys").items()}

    def actions(self, info: Mapping[str, Any]) -> dict[str, Action]:
        sources = self.part(info, "", "data_sources")
        default = info.get("container_image")
        actions: dict[str, Action] = {}
        for name, item in self.part(info, "", "actions").items():
            at = f"actions.{name}"
            entry = {"container_image": default, **self.mapping(item, at)}
            actions[name] = Action(
                name=name,
                command=self.text(entry, at, "command"),
                image=self.text(entry, at, "container_image"),
                inputs={key: self._input(item, f"{at}.inputs") for key, item in self.part(entry, at, "inputs").items()},
                outputs={key: str(kind) for key, kind in self.part(entry, at, "outputs").items()},
                spec_params={key: str(word) for key, word in self.part(entry, at, "spec_params").items()},
                data_sources=self._sources(self.part(sources, "data_sources", name), f"data_sources.{name}"),
                config_format=str(entry.get("config_format", "yaml")),
                upload_excludes=tuple(str(item) for item in entry.get("upload_excludes") or ()),
            )
        return actions

    def _input(self, entry: Any, at: str) -> Input:
        entry = self.mapping(entry, at)
        return Input(str(entry.get("type", "file")), entry.get("optional") is True)

    def _sources(self, entries: Mapping[str, Any], at: str) -> tuple[DataSource, ...]:
        return tuple(
            self._source(key, self.mapping(entry, f"{at}.{key}"), f"{at}.{key}") for key, entry in entries.items()
        )

    def _source(self, key: str, entry: Mapping[str, Any], at: str) -> DataSource:
        parts = self.part(entry, at, "mapping")
        if parts:
            files = {
                str(part): self.text(self.mapping(item, f"{at}.mapping.{part}"), f"{at}.mapping.{part}", "path")
                for part, item in parts.items()
            }
        else:
            files = {"": self.text(entry, at, "path")}
        return DataSource(
            key=key,
            source=self.text(entry, at, "source"),
            many=entry.get("multiple_sources") is True,
            files=files,
            as_list=entry.get("list") is True,
            optional=entry.get("optional") is True,
        )
