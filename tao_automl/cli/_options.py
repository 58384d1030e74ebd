"""Options that commands share. Those of `run`, `plan`, `resume` and `space` are made from `config.KEYS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tao_automl.config import KEYS, Key, Layer, Settings, environment, resolve
from tao_automl.errors import UsageError
from tao_automl.values import seconds, size_bytes

if TYPE_CHECKING:
    from tao_automl.report import Where

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Model and data": ("model", "skill_dir", "name", "train_data", "val_data", "num_classes"),
    "Budget": ("trials", "time", "target", "plateau", "max_failures", "parallel", "epochs"),
    "Search": (
        "metric",
        "direction",
        "constraint",
        "confirm",
        "eval_action",
        "baseline",
        "final_evaluation",
        "algorithm",
        "pruner",
        "min_epochs",
        "reduction_factor",
        "pbt_interval",
        "seed",
        "warm_start",
        "automl_policy",
    ),
    "Keys of the spec": ("set", "search", "keep", "point"),
    "Where": ("runtime", "platform", "address", "storage", "studies_dir"),
    "GPUs and nodes": ("gpus", "nodes", "node_gpus", "share_gpus"),
    "Jobs": ("image", "image_policy", "shm_size", "network", "env", "mount"),
    "Clocks": ("trial_timeout", "hang_timeout", "node_grace"),
    "Disk and S3": ("keep_checkpoints", "min_free", "cache_dir", "upload"),
}
PLACES = ("studies_dir", "storage")
CHANGEABLE = tuple(key.name for key in KEYS.values() if not key.fixed)


class Sectioned(click.Command):
    """A command whose help shows the options of `KEYS` by what they are about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {
            str(parameter.name): record
            for parameter in self.get_params(ctx)
            if (record := parameter.get_help_record(ctx)) is not None
        }
        shown = {
            section: [records.pop(name) for name in names if name in records] for section, names in SECTIONS.items()
        }
        for section, rows in {"Options": list(records.values()), **shown}.items():
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


def keys(names: Iterable[str]) -> Callable[[Decorated], Decorated]:
    """Options for settings: flag, metavar, text and environment variable are those of the table."""

    def decorate(function: Decorated) -> Decorated:
        for name in reversed(list(names)):
            function = _option(KEYS[name])(function)
        return function

    return decorate


def _option(key: Key) -> Callable[[Decorated], Decorated]:
    default = "" if key.default is None else f"  [default: {_shown(key)}]"
    more: dict[str, Any] = {} if key.alone is None else {"is_flag": False, "flag_value": key.alone}
    return click.option(
        key.flag,
        key.name,
        metavar=key.metavar,
        multiple=key.many,
        **more,
        help=f"{key.about}{default}  [env:{key.variable}]",
    )


def _shown(key: Key) -> str:
    """A default with its unit."""
    if key.read is size_bytes:
        unit, name = (2**30, "GiB") if key.default % 2**30 == 0 else (2**20, "MiB")
        return f"{key.default // unit} {name}"
    return f"{key.default / 60:g}m" if key.read is seconds else str(key.default)


def file_option(function: Decorated) -> Decorated:
    return click.option("-f", "--file", metavar="STUDY.yaml", help="Study file: the settings below, as keys")(function)


def json_option(function: Decorated) -> Decorated:
    return click.option("--json", "as_json", is_flag=True, help="JSON on stdout, and nothing else there")(function)


def places(function: Decorated) -> Decorated:
    """Where studies are: for the commands that only look."""
    return keys(PLACES)(function)


def where(flags: Mapping[str, Any]) -> Where:
    """The studies that `--studies-dir` and `--storage`, or their variables, name."""
    from tao_automl.report import Where

    found = resolve([Layer("flag", _only(flags, PLACES)), Layer("environment", _only(environment().values, PLACES))])
    return Where(found["studies_dir"], found["storage"])


def settings(flags: Mapping[str, Any], file: str | None) -> Settings:
    """Settings of a new study: flags over environment over study file over platform.

    Raises:
        UsageError, ConfigError: a value that cannot be read; the message says where it stands.
    """
    layers = [Layer("flag", flags), environment()]
    if file:
        from tao_automl import studyfile

        layers.append(studyfile.read(Path(file)))
    platform = next((found for layer in layers if (found := layer.values.get("platform"))), None)
    if platform:
        from tao_automl import studyfile

        layers.append(studyfile.platform(str(platform)))
    return resolve(layers)


def changes(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What `resume` was asked to change. Only flags count: what a study was started with is frozen."""
    named = {name: value for name, value in flags.items() if value not in (None, ())}
    resolved = resolve([Layer("flag", named)])
    return {name: resolved[name] for name in named}


def study_and_trial(text: str | None) -> tuple[str | None, int | None]:
    """`STUDY`, `STUDY/8` or nothing.

    Raises:
        UsageError: what follows the slash is no number.
    """
    if text is None or "/" not in text:
        return text, None
    study, _, number = text.rpartition("/")
    if not number.isdigit():
        raise UsageError(f"'{text}' names no trial: '{number}' is not a number", tip=f"write it as {study}/0")
    return study or None, int(number)


def _only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if values.get(name) is not None}
