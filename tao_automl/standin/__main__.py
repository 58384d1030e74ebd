"""The launcher: what a TAO container runs as its first process.

    python -m tao_automl.standin dino train -e spec.yaml [key.sub=value …]
    python -m tao_automl.standin shapes FOLDER [--seed N] [--train N] [--val N] [--odvg]

Like TAO's, it runs the action in a child process and copies its output, handles no SIGTERM, and returns 0 or 1.
Environment, all optional: STANDIN_EPOCH_S (an epoch takes at least so long), STANDIN_START_S (seconds before
anything), STANDIN_STEPS (batches an epoch), STANDIN_FAULT (see faults.py), STANDIN_OOM_ABOVE (the largest batch size),
STANDIN_OOM_LIMIT (batch size times queries), STANDIN_CHECKPOINT_BYTES, STANDIN_IMAGE (train or deploy: what the image
that it plays can do; unset, both), TELEMETRY_OPT_OUT; and of TAO's, on several nodes, WORLD_SIZE, NODE_RANK and
NUM_GPU_PER_NODE.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tao_automl.standin import nodes
from tao_automl.standin.networks import NETWORKS, actions

TELEMETRY_S = 2.0  # what TAO's report after the run costs a machine that cannot send it
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # matrices this small gain nothing by more
CHUNK = 65_536  # bytes


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["shapes"]:
        return _shapes(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m tao_automl.standin", epilog="python -m tao_automl.standin shapes FOLDER makes data"
    )
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("action", help="train, evaluate, inference, export, quantize, distill or gen_trt_engine")
    parser.add_argument("-e", "--experiment_spec_file", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    asked = parser.parse_intermixed_args(arguments)  # values may come before and after -e
    known = actions(NETWORKS[asked.network], os.environ.get("STANDIN_IMAGE"))
    if asked.action not in known:
        parser.error(f"argument subtask: invalid choice: '{asked.action}' (choose from {', '.join(known)})")
    spec: Path | None = asked.experiment_spec_file
    if spec is None:
        print(
            f"ERROR: The subtask `{asked.action}` requires the following argument: -e/--experiment_spec_file",
            file=sys.stderr,
        )
        return 1
    if not spec.is_file():
        print(f"ERROR: The indicated experiment spec file `{spec}` doesn't exist!", file=sys.stderr)
        return 1
    nodes.take_over(spec)
    return _launch([asked.network, asked.action, str(spec), *asked.overrides])


def _launch(order: list[str]) -> int:
    """Run the action as a child. Returns 0, or 1 if it failed; on Ctrl-C 0, as TAO's launcher does."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-m", "tao_automl.standin.task", *order],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**dict.fromkeys(THREADS, "1"), **os.environ},
    )
    try:
        if child.stdout is not None:
            while chunk := os.read(child.stdout.fileno(), CHUNK):
                os.write(1, chunk)
        code = child.wait()
    except KeyboardInterrupt:
        print("Execution status: PASS", flush=True)
        return 0
    print(f"Command completed with return code {code}", flush=True)
    if os.environ.get("TELEMETRY_OPT_OUT", "no").lower() in ("no", "false", "0"):
        time.sleep(TELEMETRY_S)
        print("Telemetry data couldn't be sent, but the command ran successfully.")
    print(f"Execution status: {'PASS' if code == 0 else 'FAIL'}", flush=True)
    return 0 if code == 0 else 1


def _shapes(arguments: list[str]) -> int:
    from tao_automl.standin import shapes

    parser = argparse.ArgumentParser(
        prog="python -m tao_automl.standin shapes", description="Write train/ and val/ of a set of shapes."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=shapes.DEFAULT_SEED)
    parser.add_argument("--train", type=int, default=shapes.DEFAULT_TRAIN)
    parser.add_argument("--val", type=int, default=shapes.DEFAULT_VAL)
    parser.add_argument("--odvg", action="store_true", help="for networks that read captions")
    asked = parser.parse_args(arguments)
    shapes.write(asked.folder, asked.seed, asked.train, asked.val, asked.odvg)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
