"""What a container sees: what its spec names, read-only and at the same path, and nothing of the system."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl import mounts
from tao_automl.errors import UsageError
from tao_automl.execution.job import Mount


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "annotations.json").write_text("{}")
    (tmp_path / "job").mkdir()
    return tmp_path / "data"


def own(path: Path, **changed: bool) -> Mount:
    """A path at its own place."""
    return Mount(str(path), str(path), **changed)


def found(data: Path, *values: object, extra: tuple[Mount, ...] = ()) -> tuple[Mount, ...]:
    return mounts.mounts({f"key{n}": value for n, value in enumerate(values)}, data.parent / "job", extra)


def test_every_path_in_lists_and_mappings_is_seen_read_only_at_its_own_place(data):
    sources = [{"image_dir": str(data / "images"), "json_file": str(data / "annotations.json")}]
    assert found(data, sources) == (own(data / "annotations.json"), own(data / "images"))


@pytest.mark.parametrize("value", ["resnet_50", "images", "/no/such/file", "/bad\0name", "/" + 999 * "x", 3, None, []])
def test_what_is_no_path_of_this_machine_is_left_out(data, value):
    assert found(data, value, {"deep": [value]}) == ()


def test_the_jobs_own_folder_is_left_to_the_runtime(data):
    (data.parent / "job" / "model.onnx").write_text("")
    assert found(data, str(data.parent / "job"), str(data.parent / "job" / "model.onnx")) == ()


def test_what_lies_in_a_mounted_folder_needs_no_mount_of_its_own(data):
    assert found(data, str(data / "images"), f"{data}/./images/..") == (own(data),)


def test_a_link_comes_with_what_it_leads_to(data):
    (data.parent / "link").symlink_to(data / "images")
    target, link = str(data / "images"), str(data.parent / "link")
    assert found(data, link) == (Mount(target, target), Mount(target, link))


def test_a_link_in_a_mounted_folder_leads_somewhere_in_the_container_too(data):
    outside = data.parent / "outside"
    outside.mkdir()
    (data / "more").symlink_to(outside)
    assert found(data, str(data), str(data / "more")) == (own(data), own(outside))


@pytest.mark.parametrize(
    "path", ["/", "/usr", "/etc", "/tmp", "/proc", "/proc/self", "/dev/null", "/sys/kernel", "/lib"]
)
def test_what_belongs_to_the_system_is_refused_with_the_key_that_names_it(data, path):
    with pytest.raises(UsageError, match=r"key0: .* belongs to the system") as caught:
        found(data, [path])
    assert caught.value.tip
    with pytest.raises(UsageError, match="belongs to the system"):
        mounts.named([f"{data}:{path}"])
    with pytest.raises(UsageError, match="belongs to the system"):
        mounts.named([f"{path}:/inside"])


def test_a_link_into_the_system_is_refused(data):
    (data / "all").symlink_to("/etc")
    with pytest.raises(UsageError, match="/etc belongs to the system"):
        found(data, str(data / "all"))


def test_mounts_of_the_user_are_read_as_the_engine_would(data):
    texts = [str(data), f"{data}:/in", f"{data}:/in:ro", f"{data}:/in:rw"]
    assert mounts.named(texts) == (
        own(data),
        Mount(str(data), "/in"),
        Mount(str(data), "/in"),
        Mount(str(data), "/in", read_only=False),
    )
    with pytest.raises(UsageError, match="none is missing"):
        mounts.named([f"{data}/none"])


def test_a_mount_of_the_user_wins_over_the_same_path_and_leaves_the_rest_read_only(data):
    extra = mounts.named([f"{data}:{data}:rw"])
    assert found(data, str(data), str(data / "images"), extra=extra) == (
        own(data, read_only=False),
        own(data / "images"),
    )


@given(
    st.recursive(st.text() | st.integers() | st.none(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
)
def test_any_value_of_a_spec_gives_mounts_of_what_exists_or_is_refused(value):
    try:
        made = mounts.mounts({"key": value}, Path("/nowhere"), ())
    except UsageError as error:
        assert error.message.startswith("key: ")
    else:
        assert all(Path(mount.host).exists() and mount.read_only for mount in made)
