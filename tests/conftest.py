"""What tests anywhere may ask for: a Docker engine, an S3 server."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from tests.engine import Engine
    from tests.s3 import Bucket, Server


# Before numpy is imported, here and in children: on matrices as small as ours a second thread only waits, and burns as
# much of a core as the first. A trainer gets one thread a CPU of its job anyway.
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("calm", deadline=None)  # timing is measured in benchmarks/, not asserted
hypothesis.settings.load_profile("calm")


def pytest_configure() -> None:
    """Each worker of a parallel run is a node of its own: what is known of its GPUs lies in its temporary folder."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        folder = Path(tempfile.gettempdir()) / worker
        folder.mkdir(exist_ok=True)
        os.environ["TMPDIR"], tempfile.tempdir = str(folder), None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One engine for the whole run, with the stand-in's image. Whoever uses it removes the containers made."""
    from tests.engine import Engine, EngineError, missing

    if reason := missing():
        unusable(reason)
    found = Engine()
    try:
        found.start()
        found.build()
    except EngineError as error:
        found.close()
        unusable(str(error))
    yield found
    found.start()
    left = [(container.name, container.state) for container in found.containers()]
    found.close()
    assert left == [], "containers were left on the engine"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One S3 server for the whole run; tests take buckets of their own."""
    from tests.s3 import serving

    with serving(tmp_path_factory.mktemp("s3") / "buckets") as server:
        yield server


@pytest.fixture
def s3(s3_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket of its own behind a proxy, which the AWS settings of this process name."""
    from tests.s3 import Bucket, Proxy, environment

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    proxy = Proxy(s3_server.port)
    for name, value in environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    folder = s3_server.folder / f"b{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    yield Bucket(folder, proxy)
    proxy.close()


@pytest.fixture
def docker_env(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """DOCKER_HOST is the engine; after the test no container is left."""
    for name, value in engine.env().items():
        monkeypatch.setenv(name, value)
    yield engine
    engine.start()
    left = [(container.name, container.state) for container in engine.containers()]
    engine.remove_all()
    assert left == [], "containers were left on the engine"


def unusable(reason: str) -> None:
    """Skip, or fail where an engine is a must, as in CI."""
    if os.environ.get("TAO_AUTOML_REQUIRE_DOCKER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
