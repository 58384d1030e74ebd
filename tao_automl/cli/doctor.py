"""`tao-automl doctor`."""

from __future__ import annotations

from typing import Any

import click

from tao_automl.cli import _options

NOT_READY = 3


@click.command("doctor")
@_options.places
@_options.json_option
def command(as_json: bool, **flags: Any) -> int:
    """Check this machine: versions, runtimes, disk, studies, models.

    It changes nothing. The exit code is 3 if something fails that every run needs.
    """
    from rich.text import Text

    from tao_automl import doctor
    from tao_automl.cli._console import Console

    styles = {doctor.OK: "green", doctor.WARN: "yellow", doctor.FAIL: "red"}
    console, seen = Console(), []
    where = _options.where(flags)
    for check in doctor.checks(where.studies_dir, where.storage_url):
        seen.append(check)
        if as_json:
            continue
        console.out(Text.assemble((f"{check.state:<6}", styles.get(check.state, "")), check.text))
        if check.tip and check.state != doctor.OK:
            console.out(f"        {check.tip}")
    states = [check.state for check in seen]
    failed, warned = states.count(doctor.FAIL), states.count(doctor.WARN)
    if as_json:
        listed = [check.as_dict() for check in seen]
        console.document({"schema": 1, "ready": not failed, "checks": listed})
    else:
        warnings = "1 warning" if warned == 1 else f"{warned} warnings"
        console.out("", f"{failed} failed, {warnings}, {states.count(doctor.OK)} ok")
    return NOT_READY if failed else 0
