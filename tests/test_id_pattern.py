"""Patterns of ids that would hang every commit are refused; those that teams use are taken, and are quick."""

from __future__ import annotations

import re
from functools import partial

import pytest

from prpgate import config as settings
from prpgate.commit_message import message_ids
from prpgate.config import DEFAULT_ID_PATTERN
from prpgate.errors import UserError
from prpgate.id_pattern import inside, slow
from tests.effort import effort

USUAL = [
    DEFAULT_ID_PATTERN,
    r"P\d-\d{3}",
    r"PRP-\d+",
    r"[A-Z]+-\d+",
    r"[A-Z][A-Z0-9]*-\d+",
    r"(?:PRP|BUG|TASK)-\d{1,6}",
    r"(?i:prp)-\d+[a-z]?",
    r"[A-Z]{2,10}-\d+(?:\.\d+)*",
    r"[a-z]+(?:-[a-z]+)*-\d+",
    r"(?:[A-Z]{1,5}-){1,4}\d{1,6}",
    r"(?:[^-]+-)+\d+",
    r"\d{4}-(?:0[1-9]|1[0-2])-\w+",
    r"(?P<kind>P\d)-(?P<number>\d{3})(?!\d)",
    r"#?\d+",
]
ENDLESS = [
    r"(a+)+$",
    r"(a|a)+$",
    r"(?:a|ab|b)+$",
    r"(\w+-?)+$",
    r"(?:[a-z]+)*\d",
    r"(?:(?:a*)*)*x",
    r"(?:a+){30}x",
    r"(?:-a*a*)*x",
    r"(?:a?){40}a{40}",
    "a?" * 30 + "a" * 30,
    "a*" * 12 + "x",
    "(?:a|aa)" * 30 + "x",
    r"(?=(a+)+$)a",
    r"(?i:(A+)+)x",
    r"(a*)\1*\1*x",
    "a" * 501,
]


def toml(pattern: str) -> str:
    return f"project = 'example/app'\nid_pattern = '''{pattern}'''\n"


@pytest.mark.parametrize("pattern", USUAL)
def test_a_usual_pattern_is_taken_and_quick(pattern: str) -> None:
    assert settings.parse(toml(pattern), "prp.toml").id_pattern == pattern
    for letter in ("a", "A", "1", "-", "a-", "A-", "1.", "P1-003 ", "\xe9"):
        subject = letter * (10_000 // len(letter)) + "!"
        message = f"feat({subject}): x\n\n{subject}\n\nPrp: {subject}\n"
        assert effort(partial(message_ids, message, pattern), 20) < 20, letter


@pytest.mark.parametrize("pattern", ENDLESS)
def test_an_endless_pattern_is_refused_before_it_is_used(pattern: str) -> None:
    assert effort(lambda: slow(pattern), 20) < 20
    assert slow(pattern)
    with pytest.raises(UserError) as e:
        settings.parse(toml(pattern), "prp.toml")
    assert e.value.code == "config" and "id_pattern" in e.value.message


def test_what_is_taken_at_its_worst_is_quick_because_words_are_short() -> None:
    for pattern in (r"a*a*a*a*x", r"a?a?[a-z]*a*x", r"\w*\w*\w*-"):
        assert not slow(pattern)
        for subject in ("a" * 10_000, "a" * 63 + " ", ("a" * 63 + " ") * 150, "a." * 5_000):
            message = f"{subject}\n\n{subject}"
            assert effort(partial(message_ids, message, pattern), 200) < 200, (pattern, subject[:70])


def test_words_are_cut_where_they_always_were() -> None:
    pattern = r"P\d-\d{3}"
    assert message_ids(
        "P1-001: see P1-002. P1-003/P1-004 (P1-005) xP1-006 P1-007x #P1-008 a-P1-009 v.P1-010", pattern
    ) == (
        ("P1-001",),
        ("P1-002", "P1-003", "P1-004", "P1-005", "P1-010"),
    )
    long = "https://example.org/" + "x" * 300 + "/P1-001/" + "y" * 300
    assert message_ids(long, pattern) == ((), ("P1-001",)), "in a long address too"


@pytest.mark.parametrize(
    "pattern",
    [r"(?i)p[0-9]-\d+", r"(?i)(?s)p[0-9]-\d+", "(?xi) p[0-9] - \\d+ # as we write them", r"(?i)prp-\d+|p\d-\d+"],
)
def test_flags_at_the_beginning_are_for_all_of_it(pattern: str) -> None:
    assert settings.parse(toml(pattern), "prp.toml").id_pattern == pattern
    assert message_ids("feat(P1-001): see p1-002 and xP1-003", pattern) == (("P1-001",), ("p1-002",))
    assert re.compile(f"<{inside(pattern)}>").fullmatch("<p1-1>")


@pytest.mark.parametrize("pattern", ["P(?i)-1", "(?L)P-1", "P{99999999999999999999}", "(?iz)P"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UserError) as e:
        settings.parse(toml(pattern), "prp.toml")
    assert e.value.code == "config" and "id_pattern" in e.value.message
