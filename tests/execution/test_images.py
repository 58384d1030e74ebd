"""What engines say of images."""

from __future__ import annotations

from typing import Any

import pytest

from tao_automl.errors import PlatformError
from tao_automl.execution import images
from tao_automl.execution.connection import RefusedError

IMAGE = "nvcr.io/nvidia/tao/tao-toolkit:7.1.0-pyt"


@pytest.mark.parametrize(
    ("image", "registry", "login"),
    [
        (IMAGE, "nvcr.io", "docker login nvcr.io -u '$oauthtoken'"),
        ("python:3.11", "docker.io", "docker login"),
        ("me/python@sha256:aa", "docker.io", "docker login"),
        ("localhost/x", "localhost", "docker login localhost"),
        ("hub.example:5000/a/b:1", "hub.example:5000", "docker login hub.example:5000"),
    ],
)
def test_the_login_is_that_of_the_images_registry(image: str, registry: str, login: str) -> None:
    assert images.registry(image) == registry
    assert images.login(image) == login


@pytest.mark.parametrize(
    ("said", "passing", "message"),
    [
        ("Error response from daemon: unauthorized: authentication required", False, "does not let us pull"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", False, "does not let us"),
        ("manifest for x:1 not found: manifest unknown: manifest unknown", False, "there is no image"),
        ("manifest unknown", False, "there is no image"),
        ("toomanyrequests: You have reached your pull rate limit", True, "cannot be pulled now"),
        ("net/http: TLS handshake timeout", True, "cannot be pulled now"),
        ("dial tcp: lookup nvcr.io: no such host", True, "cannot be pulled now"),
        ("read tcp 10.0.0.1:443: connection reset by peer", True, "cannot be pulled now"),
        ("unexpected EOF", True, "cannot be pulled now"),
        ("received unexpected HTTP status: 503 Service Unavailable", True, "cannot be pulled now"),
        ("write /var/lib/docker/tmp/x: no space left on device", False, "does not fit on the disk"),
        ("something new", False, "cannot be pulled: something new"),
    ],
)
def test_a_refusal_says_what_to_do_and_whether_to_try_again(said: str, passing: bool, message: str) -> None:
    assert images.passing(said) is passing
    error = images.refused(IMAGE, said)
    assert message in error.message
    assert IMAGE in error.message
    assert error.tip


def test_progress_is_in_layers_and_bytes() -> None:
    pulling = images.Pulling("x:1")
    for layer in "abc":
        pulling.take({"status": "Pulling fs layer", "id": layer})
    pulling.take({"status": "Already exists", "id": "d"})
    pulling.take({"status": "Downloading", "id": "a", "progressDetail": {"current": 2**30, "total": 2 * 2**30}})
    assert pulling.line() == "image x:1: 1 of 4 layers, 1.0 of 2.0 GiB"
    pulling.take({"status": "Download complete", "id": "a"})
    pulling.take({"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 2 * 2**30}})
    pulling.take({"status": "Pull complete", "id": "a"})
    pulling.take({"status": "Downloading", "id": "b", "progressDetail": {}})
    pulling.take({"status": "Digest: sha256:ab"})
    assert pulling.line() == "image x:1: 2 of 4 layers, 2.0 of 2.0 GiB"


def test_a_pull_goes_on_when_the_network_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "RETRY_S", (0.0, 0.0))
    tries: list[list[dict[str, Any]] | RefusedError] = [
        RefusedError(500, "dial tcp: i/o timeout"),
        [{"status": "Pulling fs layer", "id": "a"}, {"error": "unexpected EOF"}],
        [{"status": "Pulling fs layer", "id": "a"}, {"status": "Pull complete", "id": "a"}],
    ]
    said: list[str] = []

    def events():
        found = tries.pop(0)
        if isinstance(found, RefusedError):
            raise found
        return found

    images.pull("x:1", events, said.append)
    assert tries == []
    assert [line for line in said if "trying again" in line] == [
        "image x:1: dial tcp: i/o timeout; trying again in 0 s",
        "image x:1: unexpected EOF; trying again in 0 s",
    ]


def test_a_pull_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "RETRY_S", (0.0,))
    with pytest.raises(PlatformError, match="cannot be pulled now"):
        images.pull("x:1", lambda: [{"error": "unexpected EOF"}], lambda _: None)
