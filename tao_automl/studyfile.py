"""Files that say what to tune: study files that users write, platforms, and the frozen record of a study."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tao_automl import __version__
from tao_automl.config import KEYS, Layer, Settings, resolve
from tao_automl.errors import ConfigError, StudyError, UsageError, near
from tao_automl.layout import StudyPaths, configs_dir
from tao_automl.tao import yamlfile
from tao_automl.values import without_password


def read(path: Path) -> Layer:
    """The layer of a study file: the keys of `config.KEYS`, as a mapping.

    Raises:
        ConfigError: no such file, not YAML, or not a mapping.
    """
    return _layer(path, f"file {path.name}")


def platform(name: str) -> Layer:
    """The layer of a platform: a file, or a name in configs/platforms/.

    Raises:
        UsageError: there is no such platform.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = {file.stem: file for file in (configs_dir() / "platforms").glob("*.yaml")}
        if name not in known:
            raise UsageError(f"no platform '{name}'", tip=near(name, known))
        path = known[name]
    return _layer(path, f"platform {path.stem}")


def freeze(settings: Settings, study: str, path: Path, now: datetime) -> None:
    """Write what was asked, resolved, each value with its origin. Written once, when a study starts."""
    kept = {
        name: {"value": shown_value(name, value), "from": settings.origin(name)}
        for name, value in settings.values.items()
        if value not in (None, [], {}) and name != "studies_dir"
    }
    record = {
        "schema": 1,
        "study": study,
        "version": __version__,
        "created": now.astimezone().isoformat(timespec="seconds"),
        "settings": kept,
    }
    text = yaml.dump(record, Dumper=yamlfile.Dumper, sort_keys=False, width=110)
    path.write_text(text, encoding="utf-8")


def thaw(paths: StudyPaths, studies_dir: Path) -> Settings:
    """The settings a study was started with.

    Raises:
        StudyError: the study's folder has no record.
        ConfigError: it was edited into something unreadable.
    """
    path = paths.study_file
    if not path.exists():
        raise StudyError(
            f"study '{paths.folder.name}' cannot be resumed: {path} is missing",
            tip=f"tao-automl best {paths.folder.name} still works; start a new study to go on",
        )
    record, locate = yamlfile.load(path)
    entries = record.get("settings") if isinstance(record, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(item, dict) for item in entries.values()):
        raise ConfigError(f"{path}: this is not a study's record", tip="restore the file")
    values = {name: item.get("value") for name, item in entries.items()}
    settings = resolve([Layer("study", values, lambda name: f"{path}:{locate(f'settings.{name}')}")])
    origins = {name: str(item.get("from", "study")) for name, item in entries.items() if name in KEYS}
    thawed = Settings(settings.values, {**settings.origins, **origins})
    return thawed.with_values("flag", studies_dir=studies_dir)


def _layer(path: Path, where: str) -> Layer:
    data, locate = yamlfile.load(path)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a mapping of settings is expected", tip="for example `trials: 20`")
    return Layer(where, data, lambda name: f"{path}:{locate(name)}")


def shown_value(name: str, value: Any) -> Any:
    """A setting as it may be stored and shown: plain YAML types, and no password."""
    if isinstance(value, Path):
        return str(value)
    if name == "metric" and len(value) == 1:
        return value[0]
    if isinstance(value, list):
        return [shown_value(name, item) for item in value]
    return without_password(value) if name == "storage" and value else value
