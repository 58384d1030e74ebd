"""The terminal. One file a command, imported when it is called, so that `--help` stays fast.

stdout holds results, stderr the talk. Exit codes: 0 done, 1 done without a usable result, 2 asked wrongly,
3 the machine is not ready, 70 our bug, 130 interrupted, 141 the reader of our output went away.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

import click

from tao_automl import __version__
from tao_automl.cli import _errors
from tao_automl.errors import UsageError, near

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Tune": {
        "run": "Tune a model: search, train, keep the best checkpoint",
        "plan": "Show what run would do, and start nothing",
        "resume": "Go on with a study that was stopped or cut off",
        "stop": "Stop a study: let running trials finish, or kill them",
    },
    "Look": {
        "status": "Show the studies, or the trials of one",
        "show": "Show one study or trial: settings, parameters, failure, command",
        "logs": "Print or follow a trial's log",
        "best": "Show the best trial and its checkpoint",
        "report": "Write a page about a study: curves, importances, Pareto set",
    },
    "Use": {
        "action": "Run a downstream action on the best checkpoint",
    },
    "Models": {
        "models": "List the models that can be tuned",
        "space": "Show a model's search space, and where each range is from",
        "skills": "Check that skill folders are sound",
    },
    "Setup": {
        "doctor": "Check this machine: versions, runtimes, disk, studies, models",
        "cache": "Show what this node keeps of object stores, and make room",
    },
}

_NAMES = tuple(name for commands in COMMANDS.values() for name in commands)


class Commands(click.Group):
    """The commands of `COMMANDS`; each lives in the file of its name, as `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        return list(_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click's signature
        if cmd_name not in _NAMES:
            return None
        found: click.Command = importlib.import_module(f"tao_automl.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _NAMES and not args[0].startswith("-"):
            tip = near(args[0], _NAMES) or "tao-automl --help lists them"
            raise UsageError(f"no command '{args[0]}'", tip=tip, code="no-command")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 click's signature
        """By group, from the table: no command is imported to be listed."""
        for group, commands in COMMANDS.items():
            with formatter.section(group):
                formatter.write_dl([(f"{name:<6}", about) for name, about in commands.items()])


@click.group(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="tao-automl COMMAND --help shows its options, and the environment variables for them.",
)
@click.option("-v", "--verbose", count=True, help="Show the cause of an error; twice: its traceback")
@click.version_option(__version__, message="tao-automl %(version)s")
def root(verbose: int) -> None:
    """Tune NVIDIA TAO models: Optuna searches, Ray places the trials.

    \b
    Start here:
      tao-automl doctor
      tao-automl models
      tao-automl run --model MODEL --train-data DIR --val-data DIR --trials 20
    """


def execute(args: Sequence[str]) -> int:
    """Run one command line; returns its exit code and raises nothing."""
    return _errors.guarded(lambda: _invoke(list(args)), args)


def _invoke(args: list[str]) -> int:
    with root.make_context("tao-automl", args) as context:
        return int(root.invoke(context) or 0)


def main() -> None:
    """The console script."""
    if "_TAO_AUTOML_COMPLETE" in os.environ:  # the shell asks for completions
        root.main(prog_name="tao-automl")
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    sys.exit(execute(sys.argv[1:]))
