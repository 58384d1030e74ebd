"""The child of the launcher: checks the spec, runs one action, and turns its errors into what TAO leaves."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tao_automl.standin import nodes, specfile
from tao_automl.standin.faults import Faults
from tao_automl.standin.networks import NETWORKS, Network
from tao_automl.standin.statuslog import StatusLog

# What TAO says in the status file about an error; of other errors it says nothing there.
SAID = (
    ((ValueError, TypeError), "Parameter validation error: "),
    ((OSError,), "File system error: "),
    ((NotImplementedError,), "Feature not implemented: "),
)
WITHOUT_MARSHMALLOW = "Schema validation error: "


@dataclass(frozen=True)
class Act:
    """What an action is called in status lines and folders: the deploy image has other names, and says SUCCESS."""

    name: str
    network: str
    end: str


def main(network_name: str, action: str, spec_path: Path, overrides: list[str]) -> int:
    """Run an action. Returns 0, or 1 if it failed."""
    _refuse_bad_surroundings()
    network = NETWORKS[network_name]
    try:
        spec = specfile.load(spec_path, overrides, network)
        act = _act(spec, action, network)
        folder = specfile.results_folder(spec, action, act.name)
    except (specfile.SpecError, ValueError) as error:
        print(f"{error}\n\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.")
        return 1
    time.sleep(float(os.environ.get("STANDIN_START_S", "0")))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{act.name.capitalize()} results will be saved at: {folder}", flush=True)
    return _run(act, spec, network, folder)


def _act(spec: dict[str, Any], action: str, network: Network) -> Act:
    if not _deploys(spec, action):
        return Act(action, network.title, "RUNNING")
    names = {"evaluate": "trt_evaluate", "inference": "trt_inference"}
    return Act(names.get(action, action), network.name, "SUCCESS")


def _deploys(spec: dict[str, Any], action: str) -> bool:
    """Whether the deploy image is meant, which has two actions of the same names: they read an engine."""
    image = os.environ.get("STANDIN_IMAGE")
    if image or action not in ("evaluate", "inference"):
        return image == "deploy" or action == "gen_trt_engine"
    engine, checkpoint = (str(specfile.get(spec, f"{action}.{key}", "")) for key in ("trt_engine", "checkpoint"))
    return Path(engine).suffix not in ("", ".pth", ".tlt") and checkpoint in ("", engine)


def _runs() -> dict[str, Callable[[dict[str, Any], Network, Path, StatusLog], None]]:
    # numpy and Pillow: after the spec was found to be good
    from tao_automl.standin import deploy, distill, quantize, tasks, train

    return {
        "gen_trt_engine": deploy.gen_trt_engine,
        "trt_evaluate": deploy.evaluate,
        "trt_inference": deploy.infer,
        "train": train.run,
        "evaluate": tasks.evaluate,
        "export": tasks.export,
        "inference": tasks.infer,
        "quantize": quantize.run,
        "distill": distill.run,
    }


def _run(act: Act, spec: dict[str, Any], network: Network, folder: Path) -> int:
    from tao_automl.standin.train import Stopped

    if (folder / "status.json").exists():
        print(f"UserWarning: Log file already exists at {folder / 'status.json'}")
    log = StatusLog(folder / "status.json", silent=nodes.rank() > 0)
    log.write(f"Starting {act.network} {act.name}.", status="STARTED")
    if nodes.rank() == 0:
        (folder / "experiment.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    try:
        _runs()[act.name](spec, network, folder, log)
    except Stopped as stopped:
        return 0 if stopped.number == signal.SIGTERM else 1
    except Exception as error:  # whatever it is, it ends as TAO's workflow wrapper ends it
        said = next((prefix for kinds, prefix in SAID if isinstance(error, kinds)), None)
        if said is None and Faults.wanted(folder).has("oom_no_marshmallow"):
            said = WITHOUT_MARSHMALLOW
        if said is not None:
            log.write(f"{said}{error}", status="FAILURE")
        with suppress(BrokenPipeError):  # the launcher is gone, and its end of the pipe with it
            traceback.print_exc()
        return 1
    log.write(f"{act.name.capitalize()} finished successfully.", status=act.end)
    return 0


def _refuse_bad_surroundings() -> None:
    """What kills a TAO container before it reads its spec.

    Raises:
        KeyError: the user has no name and no variable gives one.
        FileNotFoundError: JOB_ID asks for a log folder that is not there.
    """
    if "USER" not in os.environ and "LOGNAME" not in os.environ:
        pwd.getpwuid(os.getuid())
    job = os.environ.get("JOB_ID")
    if job:
        root = Path(os.environ.get("TAO_MICROSERVICES_TTY_LOG", "/results"))
        (root / job / "microservices_log.txt").open("a").close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]))
