"""The seal: what it covers, what it does not, and that it never changes from one release to the next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prpgate import seal
from prpgate.model import Prp

FIELDS: dict[str, Any] = {
    "title": "Fix login cache",
    "status": "complete",
    "owner": "ann@example.org",
    "validated_at": "2025-07-10T10:00:00Z",
    "started_at": "2025-07-10T11:00:00Z",
    "completed_at": "2025-07-10T16:00:00Z",
    "github_commit": "322579d",
    "ci_run_url": "https://example.org/runs/1",
}
SEALED = seal.compute("P2-020", 4, FIELDS)


def prp(rev: str | None, fields: dict[str, Any], prp_id: str = "P2-020") -> Prp:
    return Prp(prp_id, "t", seal.status(fields), rev, None, fields, "f", 1)


def test_the_canonical_form_is_fixed() -> None:
    """Ledgers hold these for years: a seal that comes out differently invalidates every one of them."""
    assert SEALED == "4-54f1b790"


@pytest.mark.parametrize("name", seal.SEALED)
def test_every_sealed_field_counts(name: str) -> None:
    assert seal.compute("P2-020", 4, {**FIELDS, name: "else"}) != SEALED


@pytest.mark.parametrize("name", ["title", "notes", "depends_on", "stable_id", "priority", "rev", "unknown"])
def test_what_people_edit_does_not(name: str) -> None:
    assert seal.compute("P2-020", 4, {**FIELDS, name: "else"}) == SEALED


def test_id_and_counter_count() -> None:
    assert len({SEALED, seal.compute("P2-021", 4, FIELDS), "4" + seal.compute("P2-020", 5, FIELDS)[1:]}) == 3


def test_null_and_missing_are_the_same() -> None:
    assert seal.compute("P2-020", 4, {**FIELDS, "verdict": None, "superseded_by": None}) == SEALED


def test_how_a_value_is_written_does_not_count() -> None:
    assert seal.compute("A-1", 1, {"status": "new", "github_commit": 3320525}) == seal.compute(
        "A-1", 1, {"github_commit": "3320525", "status": "new"}
    )


def test_an_entry_deprecated_by_flag_is_sealed_as_deprecated() -> None:
    flagged = {**FIELDS, "deprecated": True}
    assert seal.compute("A-1", 1, flagged) == seal.compute("A-1", 1, {**FIELDS, "status": "deprecated"})
    assert seal.check(prp(seal.compute("P2-020", 4, FIELDS), flagged)) is False


def test_a_value_cannot_pass_for_two_fields() -> None:
    joined = {"status": "new", "owner": "ann\nvalidated_at 1\nx"}
    split = {"status": "new", "owner": "ann", "validated_at": "x"}
    assert seal.compute("A-1", 1, joined) != seal.compute("A-1", 1, split)


def test_check() -> None:
    assert seal.check(prp(None, FIELDS)) is None
    assert seal.check(prp(SEALED, FIELDS)) is True
    assert seal.check(prp(SEALED, {**FIELDS, "owner": "ben"})) is False
    assert seal.check(prp(SEALED, FIELDS, "P2-021")) is False


@pytest.mark.parametrize(
    "rev",
    [
        "4 -3fa9c1b2",
        "4-3fa9c1b2\n",
        "+4-3fa9c1b2",
        "1234567890-3fa9c1b2",
        "٤-3fa9c1b2",
        "4-3fa9-1b2",
        "",
        "4",
        "4-",
        "-3fa9c1b2",
        "04-3fa9c1b2",
        "0-3fa9c1b2",
        "4-3FA9C1B2",
        "4-3fa9c1b",
        "4-3fa9c1b22",
        "²-3fa9c1b2",
    ],
)
def test_what_is_no_seal(rev: str) -> None:
    assert not seal.well_formed(rev)
    assert seal.check(prp(rev, FIELDS)) is False


values = (
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())
)


@settings(deadline=None)
@given(st.text(), st.integers(1, 10**9 - 1), st.dictionaries(st.sampled_from(seal.SEALED), values))
def test_any_fields_have_one_well_formed_seal(prp_id: str, number: int, fields: dict[str, Any]) -> None:
    rev = seal.compute(prp_id, number, fields)
    assert seal.well_formed(rev)
    assert rev == seal.compute(prp_id, number, dict(reversed(fields.items())))
