"""The docker runtime, on a real engine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tao_automl.errors import PlatformError
from tao_automl.execution import images, limits, runtimes
from tao_automl.execution.job import JobSpec, Mount, Phase, Site
from tests.contracts.runtime_contract import RuntimeContract, Work, ended, until

IMAGE = "tao-automl-standin:latest"


@pytest.fixture(autouse=True)
def on_the_engine(engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in engine.env().items():
        monkeypatch.setenv(name, value)


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


def about(job: JobSpec) -> dict:
    return json.loads(docker("inspect", job.id))[0]


def shell(script: str, **values) -> Work:
    return Work(("sh", "-c", script), **values)


def text(job: JobSpec) -> str:
    path = job.folder / "log.txt"
    return path.read_text() if path.exists() else ""


class TestDocker(RuntimeContract):
    @pytest.fixture
    def name(self) -> str:
        return "docker"

    @pytest.fixture
    def common(self) -> dict:
        return {"image": IMAGE, "network": "none"}

    @pytest.fixture
    def quick(self) -> Work:
        return shell("true", exit_code=0)

    @pytest.fixture
    def failing(self) -> Work:
        return shell("echo out of luck; echo and of words; exit 3", exit_code=3, says="out of luck\nand of words\n")

    @pytest.fixture
    def endless(self) -> Work:  # a launcher that gets no SIGTERM as PID 1, and its trainer
        return shell("sleep 300 & wait $!; exit $?", exit_code=143, processes=2)

    def test_what_the_container_is_given(self, runtime, make, tmp_path: Path, monkeypatch) -> None:
        for leak in ("WORLD_SIZE", "RANK", "RAY_JOB_ID", "AWS_SECRET_ACCESS_KEY", "LANG"):
            monkeypatch.setenv(leak, "leaked")
        (tmp_path / "data").mkdir()
        script = "touch mine; touch $DATA/not 2>&1; ulimit -l; ulimit -s; df -k /dev/shm | tail -1; env; pwd"
        job = make(
            shell(script, env={"DATA": str(tmp_path / "data")}),
            mounts=(Mount(str(tmp_path / "data"), str(tmp_path / "data")),),
            secrets=("SIGN_IN",),
            shm_bytes=3 * 2**20,
            cpus=2.0,
        )
        runtime.attach_or_start(job, Site(secrets={"SIGN_IN": "hush-hush"}))
        assert ended(runtime, job).exit_code == 0
        lines = text(job).splitlines()
        assert "Read-only file system" in lines[0]
        memlock = limits.ulimits(os.environ["DOCKER_HOST"]).get("memlock")
        assert lines[1:3] == ["unlimited" if memlock == -1 else lines[1], "65536"]
        assert lines[3].split()[1] == "3072"
        assert lines[-1] == str(job.folder)
        assert (job.folder / "mine").exists()
        env = dict(line.split("=", 1) for line in lines[4:-1])
        given = {"DATA", "SIGN_IN", "TELEMETRY_OPT_OUT", "PYTHONUNBUFFERED", "NVIDIA_VISIBLE_DEVICES"}
        given |= {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
        image = {
            word.split("=", 1)[0] for word in json.loads(docker("image", "inspect", IMAGE))[0]["Config"]["Env"] or ()
        }
        assert given <= env.keys() <= given | image | {"PATH", "HOME", "PWD", "HOSTNAME", "OLDPWD", "SHLVL", "_"}
        assert (env["OMP_NUM_THREADS"], env["NVIDIA_VISIBLE_DEVICES"]) == ("2", "void")
        found = about(job)
        assert "hush-hush" not in json.dumps([found["Config"]["Labels"], found["Config"]["Cmd"], found["HostConfig"]])
        labels = {name.removeprefix("tao-automl."): value for name, value in found["Config"]["Labels"].items()}
        driver = socket.gethostname()
        assert labels == {"job": job.id, "study": job.study, "trial": "0", "attempt": "1", "driver": driver}
        assert found["HostConfig"]["Init"] is False
        assert found["HostConfig"]["AutoRemove"] is False

    def test_it_runs_as_the_owner_of_the_folder_with_a_home_of_its_own(self, runtime, make) -> None:
        job = make(shell('id -u; echo $USER; touch "$HOME/here" "$MPLCONFIGDIR" 2>&1; touch result'))
        job.folder.mkdir()
        os.chown(job.folder, 12345, 12345)
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code == 0
        assert text(job) == "12345\nuser12345\n"
        assert (job.folder / "result").stat().st_uid == 12345
        runtime.remove(job)
        assert sorted(path.name for path in job.folder.iterdir()) == ["log.txt", "result"]

    def test_its_gpus_are_all_it_sees_and_those_of_others_are_left_alone(self, runtime, make) -> None:
        name = f"foreign-{os.getpid()}"
        docker("create", "--name", name, "--gpus", '"device=20,22"', IMAGE, "true")
        try:
            job = make(shell("echo $NVIDIA_VISIBLE_DEVICES; sleep 300"), gpus=2)
            runtime.attach_or_start(job, Site(("20", "21", "22", "23")))
            until(lambda: text(job) == "21,23\n")
            assert runtime.poll(job).gpus == ("21", "23")
            waiting = runtime.attach_or_start(make(shell("true"), gpus=1), Site(("20", "21")))
            assert waiting.phase is Phase.PENDING
            assert f"20 by {name}, 21 by {job.id}" in waiting.waits
        finally:
            docker("rm", "-f", name)

    def test_a_log_is_the_engines_byte_for_byte_when_others_take_over_in_the_middle(
        self, runtime, make, starter, engine
    ) -> None:
        count = 30000
        program = (
            "import sys, time\n"
            f"for number in range({count}):\n"
            "    print(number, end='\\r' if number % 3 else '\\n', flush=number % 100 == 0)\n"
            "    time.sleep(0.05 if number % 1000 == 0 else 0)\n"
            "print('last, without an end', end='')"
        )
        job = make(Work(("python3", "-c", program)))
        for _ in range(2):
            first = starter(job)
            first.stdout.readline()
            size = len(text(job))
            until(lambda size=size: len(text(job)) > size + 5000)
            first.kill()
            first.wait()
        engine.stop()
        time.sleep(0.1)
        assert runtime.poll(job).phase is Phase.RUNNING
        assert "does not answer" in runtime.poll(job).waits
        engine.start()
        assert ended(runtime, job).exit_code == 0
        said = subprocess.run(["docker", "logs", job.id], capture_output=True, check=True).stdout
        assert (job.folder / "log.txt").read_bytes() == said.replace(b"\r", b"\n")
        lines = text(job).splitlines()
        assert lines[-1] == "last, without an end"
        assert len(lines) == len(set(lines)) > count - 10  # a line that the engine had in hand when it went is lost

    def test_a_job_that_is_to_stop_while_the_engine_is_away_is_stopped_when_it_is_back(
        self, runtime, make, engine, endless
    ) -> None:
        job = make(endless)
        self.running(runtime, job, endless)
        engine.stop()
        runtime.stop(job, 0.0)
        fresh = make(endless)
        assert runtime.attach_or_start(fresh).phase is Phase.PENDING
        assert runtime.poll(job).phase is Phase.RUNNING
        with pytest.raises(PlatformError, match="does not answer"):
            runtime.prepare(job, print)
        assert not runtime.probe().ok
        engine.start()
        assert ended(runtime, job).exit_code == 137
        assert runtime.attach_or_start(fresh).phase is Phase.RUNNING

    def test_a_container_that_vanished_is_lost_and_not_started_again(self, runtime, make, endless) -> None:
        job = make(endless)
        self.running(runtime, job, endless)
        docker("rm", "-f", job.id)
        status = runtime.attach_or_start(job)
        assert (status.phase, status.exit_code, status.error) == (Phase.EXITED, None, None)
        runtime.remove(job)
        assert runtime.poll(job).phase is Phase.UNKNOWN

    def test_a_job_on_another_node_is_left_to_it(self, runtime, make, quick) -> None:
        job = make(quick)
        job.folder.mkdir()
        (job.folder / "container.json").write_text('{"node": "node-b"}')
        status = runtime.attach_or_start(job)
        assert (status.phase, status.node, status.waits) == (Phase.PENDING, "node-b", "it runs on node-b")

    def test_what_a_driver_that_died_had_created_only_is_started(self, runtime, make) -> None:
        job = make(shell("echo started"))
        job.folder.mkdir()
        label = ("--label", f"tao-automl.job={job.id}", "--label", f"tao-automl.study={job.study}")
        docker("create", "--name", job.id, "--network", "none", "-w", str(job.folder), *label, IMAGE, *job.command)
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code == 0
        assert text(job) == "started\n"

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"command": ("no-such-program",)}, "no-such-program"),
            ({"mounts": (Mount("/no/such/folder", "/data"),)}, "/no/such/folder"),
            ({"image": "no-such-image:1"}, "No such image"),
        ],
    )
    def test_what_cannot_be_started_has_the_engines_words_for_it(self, runtime, make, quick, changed, error) -> None:
        job = make(quick, **changed)
        status = runtime.attach_or_start(job)
        assert (status.phase, status.exit_code, status.started_at_s) == (Phase.EXITED, None, None)
        assert error in status.error
        assert "\n" not in status.error
        assert runtime.attach_or_start(job).error == status.error
        runtime.remove(job)
        assert list(job.folder.iterdir()) == []

    def test_a_container_of_somebody_else_with_the_name_is_left_alone(self, runtime, make, quick) -> None:
        job = make(quick)
        docker("create", "--name", job.id, IMAGE, "true")
        try:
            with pytest.raises(PlatformError, match=job.id) as raised:
                runtime.attach_or_start(job)
            assert "--name" in raised.value.tip
            runtime.end(job.id)
            assert about(job)["State"]["Status"] == "created"
        finally:
            docker("rm", "-f", job.id)

    def test_a_trainer_that_does_not_end_is_killed_when_the_grace_is_over(self, runtime, make) -> None:
        program = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done"
        job = make(shell(f'sh -c "{program}" & wait'))
        runtime.attach_or_start(job)
        until(lambda: "ready" in text(job))
        began_s = time.monotonic()
        runtime.stop(job, 0.7)
        assert ended(runtime, job).exit_code == 137
        assert 0.6 < time.monotonic() - began_s < 3.0
        assert text(job) == "ready\nasked\n"

    def test_run_sh_runs_the_same(self, runtime, make, tmp_path: Path) -> None:
        (tmp_path / "a, b").write_text("seen")
        job = make(
            shell('cat "$0"; echo " by $WHO, $SIGN_IN"; pwd', env={"WHO": "me and you"}),
            mounts=(Mount(str(tmp_path / "a, b"), "/data, here"),),
            secrets=("SIGN_IN",),
            shm_bytes=2**20,
        )
        job = replace(job, command=(*job.command, "/data, here"))
        job.folder.mkdir()
        env = {**os.environ, "SIGN_IN": "hush"}
        said = subprocess.run(runtime.command(job), env=env, capture_output=True, text=True, check=True).stdout
        assert said == f"seen by me and you, hush\n{job.folder}\n"


class Registry(BaseHTTPRequestHandler):
    """Just enough of a registry to refuse, as real ones do."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        name = self.path.removeprefix("/v2/").split("/")[0]
        code, said = {
            "": (200, ""),
            "private": (401, "UNAUTHORIZED"),
            "gone": (404, "MANIFEST_UNKNOWN"),
            "busy": (429, "TOOMANYREQUESTS"),
        }[name]
        body = json.dumps({"errors": [{"code": said, "message": said.lower().replace("_", " ")}]}).encode()
        self.send_response(code)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *words: object) -> None:
        pass


class TestImages:
    @pytest.fixture
    def registry(self) -> Iterator[ThreadingHTTPServer]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
        server.server_close()

    def prepare(self, image: str, policy: str = "missing") -> list[str]:
        said: list[str] = []
        folder = Path("/nowhere")
        job = JobSpec("j-0-1", "train", image, ("true",), folder, "docker", image_policy=policy)
        runtimes.by_name("docker").prepare(job, said.append)
        return said

    def test_one_that_is_there_is_not_pulled(self) -> None:
        assert self.prepare(IMAGE, "missing") == self.prepare(IMAGE, "never") == []

    def test_one_that_may_not_be_pulled_must_be_there(self) -> None:
        with pytest.raises(PlatformError, match=r"no/such:image is not on node .* never") as raised:
            self.prepare("no/such:image", "never")
        assert "docker pull no/such:image" in raised.value.tip

    def test_a_registry_that_refuses_is_told_from_one_that_does_not_have_it(self, registry) -> None:
        host = f"127.0.0.1:{registry.server_port}"
        with pytest.raises(PlatformError, match="does not let us pull") as raised:
            self.prepare(f"{host}/private/image:1")
        assert f"docker login {host}" in raised.value.tip
        with pytest.raises(PlatformError, match=f"no image {host}/gone/image:1 at {host}"):
            self.prepare(f"{host}/gone/image:1")
        digest = "sha256:" + "a" * 64
        with pytest.raises(PlatformError, match=digest):
            self.prepare(f"{host}/gone/image@{digest}")
        assert registry.asked[-1] == f"/v2/gone/image/manifests/{digest}"

    def test_a_busy_or_silent_registry_is_tried_again_for_a_while(self, registry, monkeypatch) -> None:
        monkeypatch.setattr(images, "RETRY_S", (0.01, 0.02))
        host = f"127.0.0.1:{registry.server_port}"
        with pytest.raises(PlatformError, match="cannot be pulled now"):
            self.prepare(f"{host}/busy/image:1")
        assert sum("busy" in path for path in registry.asked) >= 3
        with pytest.raises(PlatformError, match="connection refused") as raised:
            self.prepare("127.0.0.1:1/image:1")
        assert "can this node reach 127.0.0.1:1?" in raised.value.tip


def test_an_engine_that_is_not_there_is_said_with_what_to_do(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    found = runtimes.by_name("docker").probe()
    assert not found.ok
    assert found.detail.endswith("does not answer: No such file or directory")
    assert "DOCKER_HOST" in found.tip
