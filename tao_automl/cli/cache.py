"""`tao-automl cache`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options
from tao_automl.values import size_bytes


@click.command("cache")
@_options.keys(("cache_dir",))
@click.option("--keep", metavar="SIZE", help="Remove what was not used for the longest time, until SIZE is left")
@_options.json_option
def command(keep: str | None, as_json: bool, **flags: Any) -> None:
    """Show what this node keeps of object stores, and make room.

    What a trial has used within the last hour stays. What is removed is brought again when a trial needs it.
    """
    import time

    from tao_automl.cli import _words
    from tao_automl.cli._console import Console
    from tao_automl.cli._tables import Column, Table
    from tao_automl.errors import UsageError
    from tao_automl.execution import shelf
    from tao_automl.layout import cache_dir

    folder = cache_dir(_options.settings(flags, None)["cache_dir"])
    try:
        removed = shelf.trim(folder, size_bytes(keep)) if keep is not None else ()
    except ValueError as error:
        raise UsageError(f"--keep {keep}: {error}", tip="--keep 50GiB, or --keep 0 for nothing") from None
    held, now_s, console = shelf.contents(folder), time.time(), Console()
    total = sum(item.size_bytes for item in held)
    if as_json:
        shown = [_as_dict(item) for item in held]
        document = {"schema": 1, "folder": str(folder), "size_bytes": total, "contents": shown}
        console.document({**document, "removed": [_as_dict(item) for item in removed]})
        return
    rows = [
        [item.url or item.folder.name, _words.size(item.size_bytes), _words.duration(max(0.0, now_s - item.used_s))]
        for item in held
    ]
    table = Table([Column("CONTENT", elastic=True), Column("SIZE", right=True), Column("UNUSED FOR", right=True)], rows)
    if removed:
        room = sum(item.size_bytes for item in removed)
        console.out(f"{_words.count(len(removed), 'content')} removed, {_words.size(room)}", "")
    console.out(f"{_words.path(folder)}: {_words.count(len(held), 'content')}, {_words.size(total)}")
    if rows:
        console.out("", *table.lines(console.width))


def _as_dict(item: Any) -> dict[str, Any]:
    return {"url": item.url, "folder": str(item.folder), "size_bytes": item.size_bytes, "used_s": item.used_s}
