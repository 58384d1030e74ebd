"""From an exception to what the user reads, and to the exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tao_automl.errors import AutoMLError, UsageError, near

INTERRUPTED = 130
PIPE_CLOSED = 141


@dataclass(frozen=True)
class Manner:
    """How errors are said. Read from the raw arguments, as these may be what is wrong."""

    as_json: bool
    verbosity: int

    @classmethod
    def of(cls, args: Sequence[str]) -> Manner:
        leading = 0
        for arg in args:
            if not arg.startswith("-"):
                break
            leading += 1 if arg == "--verbose" else arg.count("v") if not arg.startswith("--") else 0
        debug = os.environ.get("TAO_AUTOML_DEBUG") == "1"
        return cls("--json" in args, 2 if debug else leading)


def guarded(call: Callable[[], int], args: Sequence[str]) -> int:
    """Run a command; whatever it raises becomes a message and an exit code."""
    manner = Manner.of(args)
    try:
        code = call()
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _fail(_translated(error, args), manner)
    except AutoMLError as error:
        return _fail(error, manner)
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    except (KeyboardInterrupt, click.Abort):
        _talk("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 whatever it is, the user gets one sentence
        return _bug(error, manner)
    return code


def _fail(error: AutoMLError, manner: Manner) -> int:
    if manner.as_json:
        body = {"code": error.code, "message": error.message, "tip": error.tip or None}
        sys.stdout.write(json.dumps({"schema": 1, "error": body}) + "\n")
        sys.stdout.flush()
    else:
        _talk(f"error: {error.message}")
        if error.tip:
            _talk(f"  tip: {error.tip}")
    if manner.verbosity == 1:
        for cause in _causes(error):
            _talk(f"  cause: {type(cause).__name__}: {cause}")
    elif manner.verbosity > 1:
        import traceback

        _talk("".join(traceback.format_exception(error)).rstrip())
    return error.exit_code


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _bug(error: Exception, manner: Manner) -> int:
    """A traceback is of no use to a user, but it is to whoever mends it."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    handle, name = tempfile.mkstemp(prefix="tao-automl-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"{' '.join(sys.argv)}\n{text}")
    said = " ".join(str(error).split())
    found = AutoMLError(
        f"this is a fault of tao-automl: {type(error).__name__}" + (f": {said}" if said else ""),
        tip=f"the traceback is in {Path(name)}; please report it",
    )
    return _fail(found.with_traceback(error.__traceback__), manner)


def _translated(error: click.ClickException, args: Sequence[str]) -> AutoMLError:
    """click's own errors, in our words."""
    context = getattr(error, "ctx", None)
    command = next((arg for arg in args if not arg.startswith("-")), "")
    called = context.command_path if context else f"tao-automl {command}".rstrip()
    tip = f"{called} --help shows how it is called"
    if isinstance(error, click.NoSuchOption):
        matches = near(error.option_name, _options_of(context))
        return UsageError(f"no option {error.option_name}", tip=matches or tip, code="no-option")
    if isinstance(error, click.MissingParameter) and error.param is not None and context is not None:
        return UsageError(f"{error.param.make_metavar(context)} is missing", tip=tip)
    message = error.message.rstrip(".")
    if isinstance(error, click.BadParameter) and error.param is not None:
        message = f"{error.param.opts[0]}: {message[:1].lower()}{message[1:]}"
    elif message:
        message = message[:1].lower() + message[1:]
    return UsageError(message, tip=tip)


def _options_of(context: click.Context | None) -> list[str]:
    parameters = context.command.get_params(context) if context else []
    return [option for parameter in parameters for option in parameter.opts if option.startswith("--")]


def _talk(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
