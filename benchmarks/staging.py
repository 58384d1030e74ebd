"""How fast data of an object store comes to a node, against `rclone copy` from the same server on the same disk.

    PYTHONPATH=. python benchmarks/staging.py [--runs 5] [--large-mib 512] [--small 2000] [--small-kib 100]

One large object, then many small ones. Both sides take turns, so that what else the machine does meets both. Said is
the median of the runs in MiB/s, the ratio of the medians, and the time of a second trial that finds everything there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tao_automl.execution import cache
from tao_automl.execution.job import Staged
from tao_automl.execution.store import Store
from tests.s3 import KEY, SECRET, environment, serving

CONTENTS = ("large", "small")


def fill(bucket: Path, large_mib: int, small: int, small_kib: int) -> None:
    """Noise, which nothing on the way can make smaller."""
    for name in CONTENTS:
        (bucket / name).mkdir(parents=True)
    with (bucket / "large" / "large.bin").open("wb") as file:
        for _ in range(large_mib):
            file.write(os.urandom(2**20))
    for number in range(small):
        (bucket / "small" / f"{number:06}.jpg").write_bytes(os.urandom(small_kib * 2**10))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def copied(port: int, name: str, into: Path) -> None:
    """The yardstick. What it has written is brought to the disk too, as ours is."""
    options = {"PROVIDER": "Rclone", "ENDPOINT": f"http://127.0.0.1:{port}", "ACCESS_KEY_ID": KEY}
    named = {f"RCLONE_S3_{key}": value for key, value in {**options, "SECRET_ACCESS_KEY": SECRET}.items()}
    words = ["rclone", "--config", os.devnull, "copy", f":s3:bucket/{name}", str(into)]
    subprocess.run(words, check=True, env={**os.environ, **named}, stderr=subprocess.DEVNULL)
    os.sync()


def staged(name: str, into: Path) -> Staged:
    """Ours, from the look at the address to the rename."""
    store = Store()
    found = cache.look(store, f"s3://bucket/{name}")
    wanted = cache.placed(f"s3://bucket/{name}", found.kind, found.digest(), found.size_bytes, into)
    cache.stage(wanted, lambda _text: None, store)
    return wanted


def measure(name: str, port: int, folder: Path, runs: int) -> None:
    size_mib = sum(path.stat().st_size for path in (folder / "buckets" / "bucket" / name).iterdir()) / 2**20
    theirs, ours, second = [], [], []
    for number in range(runs):
        into = folder / f"{name}-{number}"
        for side in ("theirs", "ours") if number % 2 else ("ours", "theirs"):
            if side == "theirs":
                theirs.append(seconds(lambda into=into: copied(port, name, into / "copy")))
            else:
                ours.append(seconds(lambda into=into: staged(name, into / "cache")))
        wanted = staged(name, into / "cache")
        second.append(seconds(lambda wanted=wanted: cache.stage(wanted, lambda _text: None)))
        shutil.rmtree(into)
    rate_theirs, rate_ours = size_mib / statistics.median(theirs), size_mib / statistics.median(ours)
    print(
        f"{name:6} {size_mib:6.0f} MiB   rclone copy {rate_theirs:6.0f} MiB/s   staged {rate_ours:6.0f} MiB/s   "
        f"ratio {rate_ours / rate_theirs:.2f}   second trial {statistics.median(second) * 1000:.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--large-mib", type=int, default=512)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--small-kib", type=int, default=100)
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "buckets" / "bucket", asked.large_mib, asked.small, asked.small_kib)
        with serving(folder / "buckets") as server:
            os.environ.update(environment(server.port))
            staged("small", folder / "warm")  # the first one imports boto3
            for content in CONTENTS:
                measure(content, server.port, folder, asked.runs)


if __name__ == "__main__":
    main()
