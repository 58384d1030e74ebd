"""A real S3 server (rclone serves a folder whose folders are buckets), and a proxy before it that does harm."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

KEY, SECRET = "TESTKEY", "test-secret-that-nobody-may-say"
START_TIMEOUT_S = 60.0
BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 72\r\nConnection: close\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"
)


class Server:
    """`folder` is what it serves, to anybody if `public`."""

    def __init__(self, folder: Path, *, public: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        words = ("rclone", "serve", "s3", "--addr", "127.0.0.1:0")
        words += () if public else ("--auth-key", f"{KEY},{SECRET}")
        # With 0 instead of a millisecond, rclone 1.75 spins after the first upload.
        quick = ("--dir-cache-time", "1ms", "--config", "/dev/null", "--vfs-read-chunk-size", "8M")
        self._log = folder.with_name(f"{folder.name}.log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen([*words, *quick, str(folder)], stdout=log, stderr=log)
        self.port = self._port()

    def _port(self) -> int:
        until_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until_s and self._process.poll() is None:
            if found := re.search(r"Starting s3 server on \[http://127\.0\.0\.1:(\d+)/", self._log.read_text()):
                return int(found[1])
            time.sleep(0.02)
        raise RuntimeError(f"rclone did not start: {self._log.read_text()}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Busy:
    """The request is answered with 503."""


@dataclass(frozen=True)
class Cut:
    """The connection ends after so many bytes of the answer."""

    after_bytes: int


@dataclass(frozen=True)
class Damage:
    """The last byte of the answer is another one."""


@dataclass(frozen=True)
class Hold:
    """The answer stops after so many bytes, until the event is set."""

    after_bytes: int
    until: threading.Event


Fault = Busy | Cut | Damage | Hold


class Proxy:
    """Passes each request on over a connection of its own, unless `fault` says what to do to it.

    `fault` gets the first line of a request, e.g. `GET /bucket/key HTTP/1.1`; `requests` are those that came.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.fault: Callable[[str], Fault | None] = lambda _line: None
        self.requests: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def got(self, text: str) -> list[str]:
        """The requests for data whose line has a text in it."""
        return [line for line in self.requests if line.startswith("GET ") and text in line and "list-type" not in line]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            self._pass_on(client, server)
            for each in (client, server):  # closing alone does not end what another thread still reads from
                each.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (chunk := client.recv(65536)):
                return
            head += chunk
        line = head.partition(b"\r\n")[0].decode()
        self.requests.append(line)
        fault = self.fault(line)
        if isinstance(fault, Busy):
            client.sendall(BUSY)
            return
        server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        _answer(server, client, fault)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)


def _answer(server: socket.socket, client: socket.socket, fault: Fault | None) -> None:
    sent, held = 0, b""
    limit = fault.after_bytes if isinstance(fault, (Cut, Hold)) else None
    while chunk := server.recv(65536):
        if limit is not None and sent + len(chunk) > limit:
            client.sendall(chunk[: limit - sent])
            if isinstance(fault, Cut):
                return
            if isinstance(fault, Hold):
                fault.until.wait(60.0)
            chunk, limit = chunk[limit - sent :], None
        if isinstance(fault, Damage):
            chunk, held = held + chunk[:-1], chunk[-1:]
        client.sendall(chunk)
        sent += len(chunk)
    if held:
        client.sendall(bytes([held[0] ^ 1]))


@dataclass(frozen=True)
class Bucket:
    """A folder that the server shows as a bucket, and the proxy on the way to it."""

    folder: Path
    proxy: Proxy

    def url(self, key: str) -> str:
        return f"s3://{self.folder.name}/{key}"

    def put(self, key: str, content: bytes = b"content") -> str:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.url(key)


def environment(port: int) -> dict[str, str]:
    """What the standard AWS chain needs to find the server; nothing of this machine's own."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextlib.contextmanager
def serving(folder: Path, *, public: bool = False) -> Iterator[Server]:
    server = Server(folder, public=public)
    try:
        yield server
    finally:
        server.close()


def once(fault: Fault, text: str, times: int = 1) -> Callable[[str], Fault | None]:
    """A fault of the first requests whose line has a text in it."""
    left, lock = [fault] * times, threading.Lock()

    def choose(line: str) -> Fault | None:
        with lock:
            return left.pop() if left and text in line and line.startswith("GET ") else None

    return choose
