"""One object store, S3: look, list, read a range, write. The only file that imports boto3 and its botocore.

Endpoint, region and credentials come from the standard AWS chain (environment, ~/.aws, the machine's role) and
from nowhere else; without credentials the store is asked as anybody may, which does for public buckets. Errors name
the object and a code, never what a server or a library said: that may quote keys.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tao_automl.errors import AutoMLError, PlatformError, UsageError
from tao_automl.tao.remote import Address

PATIENT, QUICK = 8, 3  # tries of one request: for data, and for questions that a user waits for
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
CHUNK_BYTES = 2**20
LONGEST_PAUSE_S = 20.0
UPLOAD_PART_BYTES = 64 * 2**20
CONNECTIONS = 32

_ABSENT = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed", "416", "InvalidRange"}
_DENIED = {"403", "AccessDenied", "Forbidden"}
_REFUSED = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthFailure",
    "TokenRefreshRequired",
}
_REGION = {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_BUSY = {"503", "SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded", "429"}
_ANSWERS = {"NoSuchBucket", *_ABSENT, *_CHANGED, *_REGION, *_BUSY}  # that have nothing to do with who asks
_TIP = "AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE, or ~/.aws, say where and as whom"


@dataclass(frozen=True)
class Object:
    """One object as it was seen: other content has another `etag`. `key` is within its bucket."""

    key: str
    size_bytes: int
    etag: str


class AbsentError(UsageError):
    """There is no such object."""

    code = "s3-absent"


class ChangedError(PlatformError):
    """An object is not what it was when it was first seen."""

    code = "s3-changed"


class Store:
    """The store that the AWS settings of this process name. May be used by many threads."""

    def __init__(self, tries: int = PATIENT) -> None:
        self._tries = tries
        self._made: Any = None
        self._anonymous = False

    def head(self, address: Address) -> Object | None:
        """The object at an address; None if there is none.

        Raises:
            AutoMLError: the store cannot be asked.
        """
        try:
            with self._said(address):
                answer = self._client.head_object(Bucket=address.bucket, Key=address.key)
        except AbsentError:
            return None
        return Object(address.key, int(answer["ContentLength"]), _plain(answer["ETag"]))

    def list(self, address: Address) -> Iterator[Object]:
        """The objects below an address, in the order of their keys.

        Raises:
            UsageError: there is no such bucket.
            PlatformError: the store cannot be asked.
        """
        with self._said(address):
            prefix = f"{address.key}/" if address.key else ""
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=address.bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield Object(item["Key"], int(item["Size"]), _plain(item["ETag"]))

    def read(self, bucket: str, item: Object, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`; a connection that is cut is made again where it was.

        Raises:
            ChangedError: the object is another one by now.
            PlatformError: the connection was cut too often in a row, or the store cannot be asked.
        """
        address, failed = Address(bucket, item.key), 0
        while start < end:
            body = self._open(address, item, start, end)
            try:
                for chunk in _chunks(body):
                    start, failed = start + len(chunk), 0
                    yield chunk
            except _CutError:
                failed += 1
                if failed >= self._tries:
                    tip = "is the network between this node and the store sound?"
                    raise PlatformError(f"the connection to {address} is cut again and again", tip=tip) from None
                time.sleep(pause_s(failed))
            finally:
                body.close()

    def is_md5(self, address: Address) -> bool:
        """False if the store encrypts the object with keys of its own: its etag is no digest then."""
        with self._said(address):
            answer = self._client.head_object(Bucket=address.bucket, Key=address.key)
        kms = str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
        return not kms and "SSECustomerAlgorithm" not in answer

    def put(self, file: Path, address: Address) -> None:
        """Upload a file; a large one in parts.

        Raises:
            AutoMLError: the store does not take it.
            OSError: the file cannot be read.
        """
        from boto3.exceptions import S3UploadFailedError
        from boto3.s3.transfer import S3Transfer, TransferConfig

        parts = TransferConfig(multipart_threshold=UPLOAD_PART_BYTES, multipart_chunksize=UPLOAD_PART_BYTES)
        with self._said(address):
            try:
                S3Transfer(self._client, parts).upload_file(str(file), address.bucket, address.key)
            except S3UploadFailedError as error:
                if error.__context__ is None:
                    raise
                raise error.__context__ from None

    def delete(self, address: Address) -> None:
        """Raises:
        AutoMLError: the store does not do it.
        """
        with self._said(address):
            self._client.delete_object(Bucket=address.bucket, Key=address.key)

    @contextlib.contextmanager
    def _said(self, address: Address) -> Iterator[None]:
        """Errors of the library as ours.

        Raises:
            AutoMLError: see `_refused` and `_unreached`.
        """
        from botocore import exceptions as theirs

        try:
            yield
        except theirs.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "no code"))
            if self._anonymous and code not in _ANSWERS:  # stores say in many ways that they want credentials
                raise _no_credentials(address) from None
            raise _refused(address, code) from None
        except (theirs.BotoCoreError, ValueError) as error:  # a ValueError is an endpoint that is no URL
            raise _unreached(address, error) from None

    @property
    def _client(self) -> Any:
        if self._made is None:
            from botocore import session
            from botocore.config import Config

            wanted = Config(
                retries={"mode": "standard", "total_max_attempts": self._tries},
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                max_pool_connections=CONNECTIONS,
                request_checksum_calculation="when_required",  # not every store knows the newer checksums
                response_checksum_validation="when_required",
            )
            asked = session.get_session()
            asked.register_component("data_loader", _models())
            if asked.get_credentials() is None:  # a public bucket wants none
                from botocore import UNSIGNED

                wanted = wanted.merge(Config(signature_version=UNSIGNED))
                self._anonymous = True
            self._made = asked.create_client("s3", config=wanted)
        return self._made

    def _open(self, address: Address, item: Object, start: int, end: int) -> Any:
        wanted = f"bytes={start}-{end - 1}"
        with self._said(address):
            answer = self._client.get_object(
                Bucket=address.bucket, Key=address.key, Range=wanted, IfMatch=f'"{item.etag}"'
            )
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        if _plain(answer["ETag"]) != item.etag or total != str(item.size_bytes):
            answer["Body"].close()
            raise _changed(address)
        if int(answer["ContentLength"]) != end - start:
            answer["Body"].close()
            raise PlatformError(f"the store sends another part of {address} than was asked for", tip=_TIP)
        return answer["Body"]


@cache
def _models() -> Any:
    """What the library knows of S3, read from its files once."""
    from botocore import loaders

    return loaders.create_loader()


def pause_s(failed: int) -> float:
    """How long to wait after so many failures in a row: longer each time, and not all at the same time."""
    return random.uniform(0.5, 1.0) * min(LONGEST_PAUSE_S, 0.2 * 2.0**failed)


class _CutError(Exception):
    """A connection ended before the last byte."""


def _chunks(body: Any) -> Iterator[bytes]:
    from botocore.exceptions import BotoCoreError

    try:
        while chunk := body.read(CHUNK_BYTES):
            yield chunk
    except (BotoCoreError, OSError):
        raise _CutError from None


def _plain(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _refused(address: Address, code: str) -> AutoMLError:
    """The store has answered, and does not do it."""
    if code == "NoSuchBucket":
        return UsageError(f"there is no bucket '{address.bucket}' for {address}", tip=_TIP, code="s3-absent")
    if code in _ABSENT:
        return AbsentError(f"there is no {address}", tip="is the key right? It is case-sensitive")
    if code in _CHANGED:
        return _changed(address)
    if code in _DENIED:
        tip = (
            "the credentials need s3:GetObject and s3:ListBucket there, to upload also s3:PutObject and s3:DeleteObject"
        )
        return PlatformError(f"access to {address} is denied", tip=tip, code="s3-denied")
    if code in _REFUSED:
        return PlatformError(f"the AWS credentials are refused for {address}: {code}", tip=_TIP, code="s3-credentials")
    if code in _REGION:
        return PlatformError(
            f"bucket '{address.bucket}' is in another region", tip="export AWS_REGION=…", code="s3-region"
        )
    if code in _BUSY:
        return PlatformError(
            f"the store is too busy to answer for {address}: {code}", tip="try again later", code="s3-busy"
        )
    return PlatformError(f"the store refuses {address}: {code}", tip=_TIP, code="s3")


def _unreached(address: Address, error: Exception) -> PlatformError:
    """No answer, or no question could be asked."""
    kind = type(error).__name__
    if re.search("Credential|Token|Profile|SSO", kind):
        return _no_credentials(address)
    asked = str(getattr(error, "kwargs", {}).get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL") or "of AWS")
    shown = re.sub(r"(//)(?:[^/@]*@)?([^/?]*).*", r"\1\2", asked)
    said = f"the S3 endpoint {shown} does not answer for {address}"
    if isinstance(error, ValueError):
        said = f"the S3 endpoint {shown} is no address of a server"
    elif kind == "ResponseParserError":
        said = f"what answers for {address} is no S3 server"
    return PlatformError(said, tip="is AWS_ENDPOINT_URL right, and is there a network?", code="s3-endpoint")


def _no_credentials(address: Address) -> PlatformError:
    tip = "aws configure, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    return PlatformError(f"there are no usable AWS credentials for {address}", tip=tip, code="s3-credentials")


def _changed(address: Address) -> ChangedError:
    return ChangedError(
        f"{address} has changed since it was first seen",
        tip="a study keeps the data that it was started with: start a new one",
    )
