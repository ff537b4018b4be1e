"""Words for people: ids, times, and text that cannot harm a terminal."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sledsaga.cli import words
from sledsaga.cli.codes import STATES as CODES
from sledsaga.core.events import CODES as CODES_OF_EVENTS
from sledsaga.core.state import Status
from sledsaga.core.view import SagaState
from sledsaga.engine.ids import new_id


def test_every_state_and_event_has_a_word() -> None:
    """Each state of a saga, each status of a step and each kind of event has its sign or its word."""
    assert set(words.STATES) == set(get_args(SagaState)) == set(CODES)
    assert set(words.STEPS) == {status.value for status in Status}
    assert set(words.EVENTS) == set(CODES_OF_EVENTS)


@given(st.lists(st.uuids(version=4).map(str), min_size=1, max_size=8, unique=True))
def test_short_ids_tell_all_apart(ids: list[str]) -> None:
    """Each short id is the beginning of its own id and of no other one."""
    short = words.shorten(ids)
    assert all(saga.startswith(short[saga]) for saga in ids)
    assert all(sum(other.startswith(short[saga]) for other in ids) == 1 for saga in ids)


def test_ids_of_one_millisecond_are_told_apart() -> None:
    """Ids that were made in the same millisecond are shown as long as they must be."""
    first = new_id()
    second = first[:-1] + ("0" if first[-1] != "0" else "1")
    short = words.shorten([first], [second])
    assert short == {first: first}
    assert len(words.shorten([first])[first]) == words.SHORT_ID


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "9 s"),
        (90, "90 s"),
        (150, "2 min"),
        (7300, "2 h"),
        (200_000, "2 d"),
    ],
)
def test_durations_are_said_as_people_would(seconds: float, said: str) -> None:
    """A duration has one number and one unit."""
    assert words.duration(seconds) == said


def test_times_are_relative_and_absolute() -> None:
    """A time in a table says how long ago it was and when exactly, in UTC."""
    assert words.moment(0.0, 7200.0) == "2 h ago (1970-01-01 00:00:00Z)"
    assert words.moment(60.0, 0.0) == "in 60 s (1970-01-01 00:01:00Z)"
    assert words.moment(None, 0.0) == "-"


@given(st.text())
def test_no_text_can_move_the_cursor(text: str) -> None:
    """Nothing that is shown holds a control character but the line break and the tab."""
    assert all(letter in "\n\t" or not words.CONTROL.match(letter) for letter in words.clean(text))
    assert "\x1b" not in words.one_line(text)
