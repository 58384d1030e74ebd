"""Addresses in an object store, wherever they stand in a spec: `s3://bucket/key`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tao_automl.errors import UsageError

SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")


@dataclass(frozen=True)
class Address:
    """An object, or the folder of all objects whose keys begin with `key/`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}" if self.key else f"{SCHEME}{self.bucket}"

    @property
    def name(self) -> str:
        """The last part of the key; of a whole bucket, its name."""
        return self.key.rpartition("/")[2] or self.bucket

    def below(self, path: str) -> Address:
        return Address(self.bucket, f"{self.key}/{path}" if self.key else path)


def is_remote(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(SCHEME)


def parse(text: str) -> Address:
    """The address in a text; a slash at its end means nothing.

    Raises:
        UsageError: it is not `s3://bucket/key`. Credentials in it are not repeated.
    """
    bucket, _, key = text.removeprefix(SCHEME).partition("/")
    if not text.startswith(SCHEME) or not _BUCKET.fullmatch(bucket):
        shown = f"{SCHEME}…, with credentials in it," if {"@", ":"} & set(text.partition("//")[2]) else f"'{text}'"
        raise UsageError(
            f"{shown} is no address in an object store",
            tip="write s3://bucket/key; credentials come from the environment or ~/.aws",
            code="s3-address",
        )
    return Address(bucket, key.strip("/"))


def addresses(tree: Any) -> Iterator[str]:
    """Every address in a spec, at any depth, as it is written there; one that stands twice comes twice."""
    if is_remote(tree):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from addresses(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from addresses(value)


def replaced(tree: Any, places: Mapping[str, str]) -> Any:
    """The same tree with other text in place of some texts; `tree` stays as it is."""
    if isinstance(tree, str):
        return places.get(tree, tree)
    if isinstance(tree, Mapping):
        return {key: replaced(value, places) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [replaced(value, places) for value in tree]
    return tree
