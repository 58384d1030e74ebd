"""The help of every command, and the table that the top page is made of."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import pytest

from tao_automl import cli
from tao_automl.cli import _options
from tao_automl.config import KEYS

ABOUT = {name: about for commands in cli.COMMANDS.values() for name, about in commands.items()}


def test_top_page(call) -> None:
    said = call("--help")
    assert (said.code, said.err) == (0, "")
    assert (
        said.out
        == """\
Usage: tao-automl [OPTIONS] COMMAND [ARGS]...

  Tune NVIDIA TAO models: Optuna searches, Ray places the trials.

  Start here:
    tao-automl doctor
    tao-automl models
    tao-automl run --model MODEL --train-data DIR --val-data DIR --trials 20

Options:
  -v, --verbose  Show the cause of an error; twice: its traceback
  --version      Show the version and exit.
  -h, --help     Show this message and exit.

Tune:
  run     Tune a model: search, train, keep the best checkpoint
  plan    Show what run would do, and start nothing
  resume  Go on with a study that was stopped or cut off
  stop    Stop a study: let running trials finish, or kill them

Look:
  status  Show the studies, or the trials of one
  show    Show one study or trial: settings, parameters, failure, command
  logs    Print or follow a trial's log
  best    Show the best trial and its checkpoint
  report  Write a page about a study: curves, importances, Pareto set

Use:
  action  Run a downstream action on the best checkpoint

Models:
  models  List the models that can be tuned
  space   Show a model's search space, and where each range is from
  skills  Check that skill folders are sound

Setup:
  doctor  Check this machine: versions, runtimes, disk, studies, models
  cache   Show what this node keeps of object stores, and make room

  tao-automl COMMAND --help shows its options, and the environment variables for them.
"""
    )


def test_every_file_of_the_folder_is_in_the_table() -> None:
    folder = Path(cli.__file__).parent
    assert {path.stem for path in folder.glob("[!_]*.py")} == set(ABOUT)


@pytest.mark.parametrize("name", ABOUT)
def test_help_of_a_command_begins_as_in_the_table(name: str, call) -> None:
    said = call(name, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[2].strip() == ABOUT[name] + "."
    assert all(len(line) <= 100 for line in said.out.splitlines())


@pytest.mark.parametrize("name", ABOUT)
def test_every_option_has_a_text(name: str) -> None:
    command = importlib.import_module(f"tao_automl.cli.{name}").command
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("name", ["run", "plan"])
@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_every_setting_is_an_option_with_its_variable(name: str, key, call) -> None:
    said = call(name, "--help").out
    assert f"  {key.flag} {key.metavar}" in said
    assert f"[env:{key.variable}]" in said


def test_every_setting_has_a_section() -> None:
    assert sorted(name for names in _options.SECTIONS.values() for name in names) == sorted(KEYS)


def test_resume_takes_what_may_change_and_nothing_else(call) -> None:
    said = call("resume", "--help").out
    for key in KEYS.values():
        assert (f"  {key.flag} {key.metavar}" in said) is not key.fixed, key.name


def test_version(call) -> None:
    from tao_automl import __version__

    assert call("--version").out == f"tao-automl {__version__}\n"


def test_nothing_typed_shows_the_help(script) -> None:
    said = script()
    assert "Start here:" in said.out + said.err


def test_help_imports_nothing_heavy(script) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from tao_automl import cli; cli.execute(['--help'])\n"
        "heavy = {'optuna', 'ray', 'rich', 'yaml', 'numpy', 'jsonschema', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_shell_completion_knows_the_commands(script) -> None:
    import os

    env = {
        **os.environ,
        "_TAO_AUTOML_COMPLETE": "bash_complete",
        "COMP_WORDS": "tao-automl st",
        "COMP_CWORD": "1",
    }
    assert script(env=env).out.split() == ["plain,stop", "plain,status"]
