"""Addresses in an object store: found at every depth of a spec, and replaced by places."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.tao import remote
from tao_automl.tao.remote import Address

NAMES = st.text("abc/._-", min_size=1, max_size=12)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), NAMES, NAMES.map("s3://bucket/{}".format))
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://data/train/images.tar.gz", "data", "train/images.tar.gz"),
        ("s3://data/train/", "data", "train"),
        ("s3://data", "data", ""),
        ("s3://my.data-2/a b/ü@1:2.json", "my.data-2", "a b/ü@1:2.json"),
    ],
)
def test_an_address_is_a_bucket_and_a_key(text: str, bucket: str, key: str) -> None:
    assert remote.parse(text) == Address(bucket, key)
    assert remote.parse(str(remote.parse(text))) == Address(bucket, key)


def test_its_name_is_the_last_part_of_its_key() -> None:
    assert remote.parse("s3://data/train/images.tar.gz").name == "images.tar.gz"
    assert remote.parse("s3://bucket").name == "bucket"
    assert str(remote.parse("s3://data/train").below("images")) == "s3://data/train/images"


@pytest.mark.parametrize("text", ["s3://", "s3:///key", "s3://a b/key", "/data", "gs://bucket/key"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        remote.parse(text)
    assert f"'{text}'" in raised.value.message
    assert "s3://bucket/key" in raised.value.tip


@pytest.mark.parametrize("text", ["s3://AKID:se/cret@data/key", "s3://AKID:secret@data/key"])
def test_credentials_in_an_address_are_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        remote.parse(text)
    assert "AKID" not in raised.value.message + raised.value.tip
    assert "cret" not in (raised.value.message + raised.value.tip).replace("credentials", "")


def test_every_entry_of_a_spec_is_found_and_replaced() -> None:
    spec = {
        "dataset": {"train": [{"image_dir": "s3://b/a"}, {"image_dir": "s3://b/c", "json_file": "/here"}]},
        "model": {"pretrained_backbone_path": "s3://b/w.pth", "layers": [1, None]},
        "undeclared": {"deep": [["s3://b/a"]]},
    }
    assert list(remote.addresses(spec)) == ["s3://b/a", "s3://b/c", "s3://b/w.pth", "s3://b/a"]
    places = {"s3://b/a": "/cache/a", "s3://b/c": "/cache/c", "s3://b/w.pth": "/cache/w.pth"}
    assert remote.replaced(spec, places) == {
        "dataset": {"train": [{"image_dir": "/cache/a"}, {"image_dir": "/cache/c", "json_file": "/here"}]},
        "model": {"pretrained_backbone_path": "/cache/w.pth", "layers": [1, None]},
        "undeclared": {"deep": [["/cache/a"]]},
    }
    assert spec["dataset"]["train"][0]["image_dir"] == "s3://b/a"  # type: ignore[index]


@settings(max_examples=40)
@given(TREES)
def test_what_is_replaced_leaves_no_address(tree: object) -> None:
    places = {url: f"/cache/{number}" for number, url in enumerate(set(remote.addresses(tree)))}
    changed = remote.replaced(tree, places)
    assert not list(remote.addresses(changed))
    assert remote.replaced(changed, {place: url for url, place in places.items()}) == tree
