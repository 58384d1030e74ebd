"""Images: what an engine's progress lines and refusals mean."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tao_automl.errors import PlatformError
from tao_automl.execution.connection import RefusedError

RETRY_S = (1.0, 2.0, 4.0, 8.0)  # waits between the tries of a pull
SAY_EVERY_S = 0.3

_LOGIN = re.compile(r"unauthorized|denied|authentication required|no basic auth credentials|\b40[13]\b", re.I)
_MISSING = re.compile(
    r"manifest unknown|manifest for .* not found|name unknown|repository .*not (known|found)|invalid reference"
    r"|not found",
    re.I,
)
_NETWORK = re.compile(
    r"toomanyrequests|too many requests|timeout|deadline exceeded|connection re(set|fused)|\bEOF\b|no such host"
    r"|temporary failure|network is unreachable|no route to host|\b(429|50[0234])\b|bad gateway|unavailable",
    re.I,
)
_FULL = re.compile(r"no space left|disk quota", re.I)


def registry(image: str) -> str:
    """The host that an image is pulled from."""
    first, slash, _ = image.partition("/")
    return first if slash and (set(first) & set(".:") or first == "localhost") else "docker.io"


def login(image: str) -> str:
    """The command that lets this user pull it."""
    host = registry(image)
    if host == "nvcr.io" or host.endswith(".nvcr.io"):  # NGC has one user name for all; the password is the API key
        return f"docker login {host} -u '$oauthtoken'"
    return "docker login" if host == "docker.io" else f"docker login {host}"


def passing(said: str) -> bool:
    """Whether a pull that ended so is worth another try."""
    return bool(_NETWORK.search(said)) and not _FULL.search(said) and not _LOGIN.search(said)


def refused(image: str, said: str) -> PlatformError:
    """The error for an image that cannot be pulled, with what to do."""
    if _FULL.search(said):
        return PlatformError(
            f"image {image} does not fit on the disk: {said}", tip="docker system df shows what is there", code="disk"
        )
    if _LOGIN.search(said):
        tip = f"if the name is right, log in on this node: {login(image)}"
        return PlatformError(f"{registry(image)} does not let us pull image {image}: {said}", tip=tip, code="image")
    if passing(said):
        tip = f"can this node reach {registry(image)}? By hand: docker pull {image}"
        return PlatformError(f"image {image} cannot be pulled now: {said}", tip=tip, code="image")
    if _MISSING.search(said):
        tip = "check its name and tag (--image)"
        return PlatformError(f"there is no image {image} at {registry(image)}: {said}", tip=tip, code="image")
    return PlatformError(f"image {image} cannot be pulled: {said}", tip=f"docker pull {image}", code="image")


class Pulling:
    """How far a pull is, from the engine's events."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, tuple[int, int]] = {}  # bytes that are here, bytes in all (0: not told yet)
        self._done: set[str] = set()

    def take(self, event: Mapping[str, Any]) -> None:
        layer, state = event.get("id", ""), event.get("status", "")
        if state in ("Pulling fs layer", "Waiting"):
            self._layers.setdefault(layer, (0, 0))
        elif state == "Already exists":
            self._layers.setdefault(layer, (0, 0))
            self._done.add(layer)
        elif state == "Downloading":
            detail = event.get("progressDetail") or {}
            self._layers[layer] = (int(detail.get("current") or 0), int(detail.get("total") or 0))
        elif state in ("Download complete", "Pull complete") and layer in self._layers:
            self._layers[layer] = (self._layers[layer][1],) * 2
            self._done |= {layer} if state == "Pull complete" else set()

    def line(self) -> str:
        """For people; the total grows while layers are found."""
        here, total = (sum(sizes) for sizes in zip(*self._layers.values(), strict=True)) if self._layers else (0, 0)
        size = f", {here / 2**30:.1f} of {total / 2**30:.1f} GiB" if total else ""
        return f"image {self._image}: {len(self._done)} of {len(self._layers)} layers{size}"


def pull(image: str, events: Callable[[], Iterable[Mapping[str, Any]]], say: Callable[[str], None]) -> None:
    """Pull an image, over a network that fails now and then; `events` begins a pull.

    Raises:
        PlatformError: it cannot be had.
        NoAnswerError: the engine does not answer.
    """
    for wait_s in (*RETRY_S, None):
        said = _pull_once(image, events, say)
        if said is None:
            return
        if wait_s is None or not passing(said):
            raise refused(image, said)
        say(f"image {image}: {said}; trying again in {wait_s:g} s")
        time.sleep(wait_s)


def _pull_once(image: str, events: Callable[[], Iterable[Mapping[str, Any]]], say: Callable[[str], None]) -> str | None:
    """What the engine says went wrong, if anything did."""
    pulling, last, said_s = Pulling(image), "", 0.0
    try:
        for event in events():
            if event.get("error"):
                return str(event["error"])
            pulling.take(event)
            if (line := pulling.line()) != last and time.monotonic() - said_s >= SAY_EVERY_S:
                say(line)
                last, said_s = line, time.monotonic()
    except RefusedError as error:
        return str(error)
    return None
