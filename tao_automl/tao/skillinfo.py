"""skill_info.yaml, in which TAO says what a model's containers can do: actions, inputs, outputs, data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tao_automl.errors import SkillError
from tao_automl.tao import keypath, yamlfile

INFO = "references/skill_info.yaml"
DEPLOY_INFO = "references/tao-deploy-*.skill_info.yaml"
_DEPLOY = "deploy_"

# Where nothing declares the data: what the files of TAO's standard datasets are called, by the input they go to.
_STANDARD = {
    "image_dir": "images.tar.gz",
    "images_dir": "images.tar.gz",
    "json_file": "annotations.json",
    "data_file": "annotations.txt",
    "csv_path": "dataset.csv",
}
_SPLITS = (
    ("calibration", "calibration_dataset"),
    ("train", "train_datasets"),
    ("val", "eval_dataset"),
    ("test", "eval_dataset"),
)


@dataclass(frozen=True)
class Input:
    """What an action reads at a key of its spec: `type` is file, folder or list."""

    type: str
    optional: bool = False


@dataclass(frozen=True)
class DataSource:
    """Where the spec names data. `source` is TAO's word for the part: train_datasets, eval_dataset …

    `files` maps a part of the value to the file of a dataset that goes there; a value without parts has one
    entry, under "". Parts that a dataset need not have are left out. `many`: more than one dataset may be named.
    `as_list`: the value is a list of them.
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
    `metric_file`: a JSON file in the results folder that has the metrics, of a trainer without a status file.
    `image` is None where TAO leaves it to whoever launches. `template` is the name of the spec template, where
    it is stated. Of `outputs`, a value is file or folder.
    """

    name: str
    command: str
    image: str | None
    inputs: Mapping[str, Input]
    outputs: Mapping[str, str]
    spec_params: Mapping[str, str]
    data_sources: tuple[DataSource, ...]
    config_format: str
    upload_excludes: tuple[str, ...]
    deploy: bool = False
    template: str | None = None
    metric_file: str | None = None

    @property
    def task(self) -> str:
        """TAO's word for it: that of the command, of its group in the spec, and of its results folder."""
        return self.name.removeprefix(_DEPLOY) if self.deploy else self.name

    @property
    def file(self) -> str:
        """What its schema and template are called after."""
        return _DEPLOY + self.task if self.deploy else self.name

    def key(self, function: str, name: str | None, spec: Mapping[str, Any]) -> str | None:
        """The first key of a spec that a TAO function fills, of those so called; None if there is none."""
        named = (path for path, what in sorted(self.spec_params.items()) if what.startswith(function))
        return next(
            (
                path
                for path in named
                if name in (None, path.rpartition(".")[2]) and keypath.get(spec, path, None) is not None
            ),
            None,
        )


def with_deployed(own: Mapping[str, Action], deployed: Mapping[str, Action]) -> dict[str, Action]:
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


@dataclass(frozen=True)
class Info:
    """Reads skill_info.yaml; errors name file and line. Keys that tuning does not need are passed over."""

    path: Path
    locate: yamlfile.Locate

    @classmethod
    def read(cls, path: Path) -> tuple[Info, dict[str, Any]]:
        """The reader of a file, and what the file holds.

        Raises:
            SkillError, ConfigError: it is missing, not YAML, or no mapping.
        """
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
        return {str(key): item for key, item in value.items()}

    def part(self, parent: Mapping[str, Any], at: str, key: str) -> dict[str, Any]:
        return self.mapping(parent.get(key), f"{at}.{key}" if at else key)

    def text(self, parent: Mapping[str, Any], at: str, key: str) -> str:
        value = parent.get(key)
        where = f"{at}.{key}" if at else key
        if not isinstance(value, str) or not value:
            raise self.error(where, f"{where} is missing")
        return value

    def shorthand(self, info: Mapping[str, Any]) -> dict[str, str]:
        entries = self.part(info, "", "spec_shorthand_keys")
        return {key: path for key, path in entries.items() if isinstance(path, str)}

    def names(self, info: Mapping[str, Any]) -> tuple[str, ...]:
        """What a model is called beside its folder's name."""
        aliases = info.get("aliases")
        known = [info.get("network_arch"), *(aliases if isinstance(aliases, list) else ())]
        return tuple(name for name in known if isinstance(name, str))

    def actions(self, info: Mapping[str, Any]) -> dict[str, Action]:
        entries = self.part(info, "", "actions")
        return {name: self._action(info, name, self.mapping(item, f"actions.{name}")) for name, item in entries.items()}

    def _action(self, info: Mapping[str, Any], name: str, item: Mapping[str, Any]) -> Action:
        at = f"actions.{name}"
        sources = self.part(self.part(info, "", "data_sources"), "data_sources", name)
        params = {
            **self.part(self.part(info, "", "spec_params"), "spec_params", name),
            **self.part(item, at, "spec_params"),
        }
        image = item.get("container_image", info.get("container_image"))
        excludes = item.get("upload_excludes")
        template = self.part(info, "", "spec_templates").get(name)
        inputs = {key: self._input(entry, f"{at}.inputs") for key, entry in self.part(item, at, "inputs").items()}
        declared = self._sources(sources, f"data_sources.{name}", info.get("data_format"))
        return Action(
            name=name,
            command=self.text(item, at, "command"),
            image=image if isinstance(image, str) and image else None,
            inputs=inputs,
            outputs={key: _kind(entry) for key, entry in self.part(item, at, "outputs").items()},
            spec_params={key: word for key, word in params.items() if isinstance(word, str)},
            data_sources=declared or tuple(_undeclared(inputs)),
            config_format=str(item.get("config_format", "yaml")),
            upload_excludes=tuple(str(entry) for entry in excludes) if isinstance(excludes, list) else (),
            template=template if isinstance(template, str) else None,
            metric_file=_text(item.get("metric_file")),
        )

    def _input(self, entry: Any, at: str) -> Input:
        entry = {"type": entry} if isinstance(entry, str) else self.mapping(entry, at)
        return Input(str(entry.get("type", "file")), entry.get("optional") is True)

    def _sources(self, entries: Mapping[str, Any], at: str, data_format: Any) -> tuple[DataSource, ...]:
        return tuple(
            self._source(key, self.mapping(entry, f"{at}.{key}"), f"{at}.{key}", data_format)
            for key, entry in entries.items()
        )

    def _source(self, key: str, entry: Mapping[str, Any], at: str, data_format: Any) -> DataSource:
        parts = self.part(entry, at, "mapping")
        files = {
            part: self._file(item, f"{at}.mapping.{part}", data_format)
            for part, item in parts.items()
            if not (isinstance(item, dict) and item.get("optional") is True)
        }
        return DataSource(
            key=key,
            source=self.text(entry, at, "source"),
            many=entry.get("multiple_sources") is True,
            files=files or {"": self._file(entry, at, data_format)},
            as_list=entry.get("list") is True or entry.get("multiple_sources") is True,
            optional=entry.get("optional") is True,
        )

    def _file(self, entry: Any, at: str, data_format: Any) -> str:
        """The file's name in a dataset, "" for the dataset's folder itself; it may depend on the data's format."""
        entry = {"path": entry} if isinstance(entry, str) else self.mapping(entry, at)
        by_format = self.part(entry, at, "path_from_format")
        chosen = by_format.get(str(data_format), by_format.get("*", next(iter(by_format.values()), None)))
        chosen = entry.get("path") if chosen is None else chosen[0] if isinstance(chosen, list) and chosen else chosen
        if not isinstance(chosen, str):
            raise self.error(f"{at}.path", f"{at}.path is missing")
        return chosen


def _undeclared(inputs: Mapping[str, Input]) -> Iterator[DataSource]:
    """Data that TAO leaves to whoever launches, by the names of the inputs: `dataset.val_data_sources[0].json_file`.

    Inputs of other names have to be set by their keys.
    """
    for key, needed in inputs.items():
        block, _, name = key.rpartition(".")
        source = next((source for word, source in _SPLITS if re.search(rf"(?:^|[._]){word}", block)), None)
        if source and name in _STANDARD and not needed.optional:
            yield DataSource(key, source, many=False, files={"": _STANDARD[name]})


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _kind(entry: Any) -> str:
    """An output is a word or a mapping with its type."""
    return str(entry.get("type", "file")) if isinstance(entry, dict) else str(entry)
