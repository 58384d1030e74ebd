from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao.field import LISTS, MISSING, WORDS, Field, example, fits, kind


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("int", 3, True),
        ("int", 3.0, False),
        ("int", True, False),
        ("float", 3, True),
        ("float", True, False),
        ("float", "3", False),
        ("bool", 1, False),
        ("bool", False, True),
        ("string", "3", True),
        ("string", 3, False),
        ("categorical", "a", True),
        ("ordered_int", 2, True),
        ("ordered_int", "2", False),
        ("ordered", 0.5, True),
        ("list_2", [1, 2], True),
        ("list_2", 1, False),
        ("collection", {"a": 1}, True),
        ("collection", [], False),
    ],
)
def test_a_field_holds_values_of_its_type_only(type_, value, expected):
    assert fits(Field("m.x", type_), value) is expected


def test_types_of_the_default_the_choices_and_a_union_are_legal_too():
    assert not fits(Field("m.x", "string"), 1)
    assert fits(Field("m.x", "string", default=0), 1)
    assert fits(Field("m.x", "string", choices=("a", 2)), 1)
    assert fits(Field("m.x", "string", others=("int",)), 1)
    assert not fits(Field("m.x", "list", choices=("a", "b")), "a")  # choices of a list are those of its elements


@given(type_=st.sampled_from(sorted({*WORDS.values(), "any"})), value=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_null_fits_every_type_and_no_known_type_holds_what_is_not_finite(type_, value):
    field = Field("m.x", type_, default=0.5)
    assert fits(field, None)
    assert fits(field, value) is (type_ == "any")


@given(
    type_=st.sampled_from(sorted(set(WORDS.values()))),
    value=st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text()),
)
def test_a_default_always_fits_its_own_field(type_, value):
    assert fits(Field("m.x", type_, default=value), value)


def test_a_field_without_a_default_is_not_one_whose_default_is_null():
    assert Field("m.x", "int").default is MISSING
    assert not MISSING
    assert repr(MISSING) == "MISSING"
    assert Field("m.x", "int", default=None).default is None


def test_lists_and_mappings_are_opaque_and_so_is_a_union_with_one():
    assert all(Field("m.x", name).opaque for name in (*LISTS, "collection"))
    assert Field("m.x", "int", others=("list_2",)).opaque
    assert not Field("m.x", "int", others=("string",)).opaque


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (Field("m.x", "int"), "a whole number"),
        (Field("m.x", "float", others=("string", "categorical")), "a number or text"),
        (Field("m.x", "list_3", others=("bool",)), "a list or true or false"),
        (Field("m.x", "any"), "any"),
    ],
)
def test_the_kind_of_a_field_is_said_in_words_each_once(field, text):
    assert kind(field) == text


def test_an_example_is_the_choices_or_the_default():
    assert example(Field("m.x", "categorical", choices=("a", "b"), default="a")) == "one of a, b"
    assert example(Field("m.x", "list", choices=("a", "b"), default=["a"])) == "for example ['a']"
    assert example(Field("m.x", "float", default=0.0)) == "for example 0.0"
    assert [example(Field("m.x", "string", default=value)) for value in (MISSING, None, "")] == ["", "", ""]
    many = Field("m.x", "ordered_int", choices=tuple(range(20)))
    assert example(many).count(",") == 11
