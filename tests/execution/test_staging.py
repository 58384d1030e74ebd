"""Archives of images become folders, whole or not at all, and nothing leaves the folder."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tao_automl.errors import AutoMLError, UsageError
from tao_automl.execution.staging import unpack

UNPACK = """
import pathlib, sys
from tao_automl.execution.staging import unpack
sys.stdin.readline()
print(unpack(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
"""


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def pack(path: Path, *members: str | tarfile.TarInfo, content: bytes = b"pixels", mode: str = "w:gz") -> Path:
    """An archive whose files all have the same content."""
    with tarfile.open(path, mode) as tar:
        for item in members:
            info = item if isinstance(item, tarfile.TarInfo) else member(item)
            info.size = len(content) if info.isfile() else 0
            tar.addfile(info, io.BytesIO(content) if info.isfile() else None)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "names",
    [
        ("images/a.jpg", "images/b/c.jpg"),
        ("./images/a.jpg", "./images/b/c.jpg"),
        ("a.jpg", "b/c.jpg"),
        ("train2017/a.jpg", "train2017/b/c.jpg"),
    ],
)
@pytest.mark.parametrize("mode", ["w:gz", "w", "w:xz"])
def test_every_usual_layout_becomes_a_folder_of_images(tmp_path: Path, names: tuple[str, ...], mode: str) -> None:
    archive = pack(tmp_path / "images.tar.gz", *names, mode=mode)
    images = unpack(archive, tmp_path / "made" / "data")
    assert images == tmp_path / "made" / "data" / "images"
    assert files(images) == ["a.jpg", "b/c.jpg"]
    assert (images / "a.jpg").read_bytes() == b"pixels"
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["data"]


def test_owner_and_mode_of_an_archive_are_not_taken_over(tmp_path: Path) -> None:
    info = member("images/a.jpg")
    info.mode, info.uid = 0o4777, 12345
    images = unpack(pack(tmp_path / "a.tar.gz", info), tmp_path / "data")
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a.jpg").write_bytes(b"")
    for made, usual in ((images / "a.jpg", plain / "a.jpg"), (images, plain), (images.parent, plain)):
        assert (made.stat().st_mode, made.stat().st_uid) == (usual.stat().st_mode, usual.stat().st_uid)


def test_it_is_unpacked_once(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar.gz", "images/a.jpg")
    unpack(archive, tmp_path / "data")
    (tmp_path / "data" / "images" / "a.jpg").write_bytes(b"mine")
    archive.unlink()
    assert unpack(archive, tmp_path / "data") == tmp_path / "data" / "images"
    assert (tmp_path / "data" / "images" / "a.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/cron.d/job"),
        member("../outside.jpg"),
        member("images/../../outside.jpg"),
        member("images/link", tarfile.SYMTYPE, "/etc"),
        member("images/link", tarfile.SYMTYPE, "a.jpg"),
        member("images/link", tarfile.LNKTYPE, "../../outside.jpg"),
        member("images/pipe", tarfile.FIFOTYPE),
        member("images/disk", tarfile.BLKTYPE),
    ],
    ids=lambda info: info.name,
)
def test_a_member_that_is_no_plain_file_below_is_refused_by_name(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = pack(tmp_path / "a.tar.gz", "images/a.jpg", bad)
    with pytest.raises(UsageError, match=bad.name) as raised:
        unpack(archive, tmp_path / "made" / "data")
    assert "plain files" in raised.value.tip
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_a_file_written_through_a_link_stays_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = member("images", tarfile.SYMTYPE, str(outside))
    with pytest.raises(UsageError):
        unpack(pack(tmp_path / "a.tar.gz", link, "images/a.jpg"), tmp_path / "data")
    assert list(outside.iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar.gz", "images/a.jpg", "images/b.jpg", content=bytes(1000))
    with pytest.raises(UsageError, match="more than"):
        unpack(archive, tmp_path / "data", limit_bytes=1999)
    assert not (tmp_path / "data").exists()
    assert unpack(archive, tmp_path / "data", limit_bytes=2000).is_dir()


def test_no_archive_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"images\.tar\.gz") as raised:
        unpack(tmp_path / "images.tar.gz", tmp_path / "made" / "data")
    assert raised.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"no archive at all", gzip.compress(b"x" * 5000, mtime=0)])
def test_a_file_that_is_no_archive_is_told_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.tar\.gz"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "made" / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_broken_archive_is_whole_or_told(
    tmp_path_factory: pytest.TempPathFactory, mode: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("broken")
    content = random.Random(1).randbytes(3000)
    archive = pack(folder / "a.tar.gz", "images/a.jpg", "images/b.jpg", content=content, mode=mode)
    whole = bytearray(archive.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[place:]
    else:
        whole[place : place + 4] = data.draw(st.binary(min_size=4, max_size=4))
    archive.write_bytes(bytes(whole))
    try:
        unpack(archive, folder / "made" / "data")
    except AutoMLError as error:
        assert "a.tar.gz" in error.message
        assert [path.name for path in folder.iterdir()] == ["a.tar.gz"]
    else:
        images = folder / "made" / "data" / "images"
        assert images.is_dir()
        if mode != "w":  # a compressed archive has a checksum
            assert files(images) == ["a.jpg", "b.jpg"]
            assert all(path.read_bytes() == content for path in images.iterdir())


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar.gz", *(f"images/{number}.jpg" for number in range(300)))
    words = [sys.executable, "-c", UNPACK, str(archive), str(tmp_path / "made" / "data")]
    both = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0].strip() for process in both]
    assert said == [str(tmp_path / "made" / "data" / "images")] * 2
    assert len(files(tmp_path / "made" / "data")) == 300
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["data"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AutoMLError):
        unpack(pack(tmp_path / "a.tar.gz", "images/a.jpg"), tmp_path / "file" / "data")
