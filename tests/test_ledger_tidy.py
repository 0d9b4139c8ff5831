"""Derived figures are refreshed, and nothing else in the file moves."""

from __future__ import annotations

import difflib

import pytest

from prpgate import ledger, ledger_tidy, remarks
from prpgate.errors import UserError
from tests import ledgers

NOW = 1_800_000_000.0
TEXT = """\
# kept by hand
metadata:
  version: '2.0'
  last_updated: '2025-07-20T21:08:12.943101Z'   # do not edit
prp_tracking:
  P0-001: {title: One, status: complete}
  P1-002:
    title: Two
    status: new
  P2-003:
    title: Three
    status: validated
    deprecated: true
stats:
  total_prps: 2   # stale
  active_prps: "2"
  deprecated_prps: 0
  priority_distribution:
    P0: 2
  status_distribution: {complete: 2, new: 0}
  completion_rate: 1.0
  moscow_distribution:
    must_have_p0: 2 (100%)
    should_have_p1: 0 (0%)
    by_hand: as we said
  mood: good
"""
WANT = """\
# kept by hand
metadata:
  version: '2.0'
  last_updated: '2027-01-15T08:00:00Z'   # do not edit
prp_tracking:
  P0-001: {title: One, status: complete}
  P1-002:
    title: Two
    status: new
  P2-003:
    title: Three
    status: validated
    deprecated: true
stats:
  total_prps: 3   # stale
  active_prps: "2"
  deprecated_prps: 1
  priority_distribution:
    P0: 1
    P1: 1
  status_distribution: {complete: 1, new: 1}
  completion_rate: 0.500
  moscow_distribution:
    must_have_p0: 1 (50%)
    should_have_p1: 1 (50%)
    by_hand: as we said
  mood: good
"""


def tidied(text: str) -> tuple[str, list[str]]:
    done, said = ledger_tidy.tidy(text.encode(), "plans/prps.yaml", NOW)
    return done.decode(), said


def test_only_wrong_figures_are_written_each_in_its_own_form() -> None:
    done, said = tidied(TEXT)
    assert done == WANT
    assert "stats.total_prps: 2 -> 3" in said and "stats.priority_distribution.P1: nothing -> 1" in said
    assert not any(f.code == "PRP140" for f in remarks.remarks(ledger.parse(done.encode(), "x.yaml")))


def test_a_second_time_nothing_changes_not_even_the_time() -> None:
    assert ledger_tidy.tidy(WANT.encode(), "x.yaml", NOW + 9999) == (WANT.encode(), [])


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t])
def test_line_ends_and_marks_stay(change: object) -> None:
    assert callable(change)
    assert tidied(change(TEXT))[0] == change(WANT)


def test_an_untidy_ledger_changes_in_its_stats_alone() -> None:
    done, said = tidied(ledgers.UNTIDY)
    assert said
    head = ledgers.UNTIDY.partition("stats:")[0].splitlines()
    moved = [x for x in difflib.unified_diff(ledgers.UNTIDY.splitlines(), done.splitlines(), n=0) if x[:1] == "-"]
    assert all("last_updated" in x or x[1:] not in head for x in moved[1:])
    assert not any(f.code == "PRP140" for f in remarks.remarks(ledger.parse(done.encode(), "x.yaml")))


@pytest.mark.parametrize(
    "text", ["prp_tracking:\n  P1-001:\n    title: One\n    status: new\n", "id: P1-001\ntitle: x\n", ""]
)
def test_without_stats_there_is_nothing_to_do(text: str) -> None:
    assert ledger_tidy.tidy(text.encode(), "x.yaml", NOW) == (text.encode(), [])


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(UserError) as e:
        tidied(TEXT + "stats: again\n")
    assert e.value.code == "ledger-unreadable"
