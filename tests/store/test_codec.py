"""Events as rows: whole, compact, and read back with suspicion."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sledsaga.core import events as e
from sledsaga.core.events import CODES, code_of
from sledsaga.errors import LogCorrupt, UsageError
from sledsaga.store.codec import FIELDS, EventRow, from_row, to_json, to_row

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(FIELDS, st.text()),
    "step": st.integers(0, 10_000),
    "attempt": st.integers(1, 100),
    "next_at": st.floats(0, 4e9),
    "output": JSON,
    "outcome": st.sampled_from(["succeeded", "undone", "abandoned"]),
}
EVENTS = st.sampled_from(list(CODES.values())).flatmap(
    lambda event: st.builds(event, **{name: VALUES[name] for name in event.__dataclass_fields__})
)


def test_every_event_has_a_code() -> None:
    """The table names each event once, and knows each of its fields."""
    assert set(CODES.values()) == set(get_args(e.Event))
    assert len(set(CODES.values())) == len(CODES)
    assert {name for event in CODES.values() for name in event.__dataclass_fields__} == set(FIELDS)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_an_event_is_read_back_equal(event: e.Event) -> None:
    """An event comes back from its row as it went in, and its text can be stored anywhere."""
    row = to_row(event)
    assert from_row(row, saga="s", seq=1) == event
    assert row.type == code_of(event)
    (row.data or "").encode()


# What undecodable bytes become in Python, and beyond. (Two halves that make a pair are one letter in JSON.)
LONE = st.text(st.characters(min_codepoint=0xDC80, max_codepoint=0xE010), max_size=4)
EXTREMES = st.recursive(
    st.sampled_from(
        [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2**63, -(10**4000), "\x00", "\U0010ffff", "\u2028"]
    )
    | LONE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LONE, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(EXTREMES, LONE, st.integers(0, 2**70), st.floats(allow_nan=False, allow_infinity=False))
def test_extremes_are_read_back_equal(output: Any, text: str, number: int, at: float) -> None:
    """Lone surrogates, huge numbers and the smallest ones come back as they went in, and as UTF-8."""
    for event in (
        e.StepSucceeded(0, output),
        e.StepSkipped(0, output, text, text),
        e.StepStarted(number, number),
        e.StepDeferred(0, text, at),
        e.Claimed(text),
    ):
        row = to_row(event)
        assert (
            from_row(EventRow(row.type, row.step, (row.data or "").encode().decode()), saga="s", seq=1)
            == event
        )
        assert repr(from_row(row, saga="s", seq=1)) == repr(event)  # 0.0 equals -0.0, but is another number


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@given(EXTREMES)
def test_no_number_hides_in_an_output(bad: float, output: Any) -> None:
    """NaN and infinity are refused however deep they stand."""
    hiding: list[e.Json] = [[bad], {"a": [output, {"b": bad}]}, [output, bad]]
    for hidden in hiding:
        with pytest.raises(UsageError, match="cannot be stored as JSON"):
            to_row(e.StepSucceeded(0, hidden))


@pytest.mark.parametrize("depth", [1, 100, 900, 1_000, 100_000])
def test_an_output_is_stored_at_a_depth_at_which_it_is_read(depth: int) -> None:
    """What is nested too deeply to be read back is refused, whatever its depth; the rest is read back."""
    output: Any = None
    for _ in range(depth):
        output = [output]
    try:
        row = to_row(e.StepSucceeded(0, output))
    except UsageError:
        assert depth > 100
    else:
        read = from_row(row, saga="s", seq=1)
        assert isinstance(read, e.StepSucceeded)
        assert to_row(read) == row


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(list(CODES)) | st.text(max_size=4),
    st.none() | st.integers(),
    st.none() | st.text() | JSON.map(json.dumps) | st.lists(JSON, max_size=4).map(json.dumps),
)
def test_any_row_is_an_event_or_corrupt(type_: str, step: int | None, data: str | None) -> None:
    """Any columns at all are an event that is written as it was read, or LogCorrupt."""
    try:
        event = from_row(EventRow(type_, step, data), saga="s", seq=1)
    except LogCorrupt:
        return
    except UsageError:
        pytest.fail("only LogCorrupt is told of a row")
    again = to_row(event)
    assert from_row(again, saga="s", seq=1) == event
    assert (again.type, again.step) == (type_, step)


def test_a_row_is_compact() -> None:
    """A row holds the step apart and no blanks, and text as itself."""
    assert to_row(e.StepSucceeded(3, {"ü": [1, 2]})) == ("step-succeeded", 3, '[{"ü":[1,2]}]')
    assert to_row(e.UndoSucceeded(0)) == ("undo-succeeded", 0, None)
    assert to_row(e.LocksAcquired()) == ("locks-acquired", None, None)


UNSTORABLE = {
    "nan": math.nan,
    "inf": math.inf,
    "object": object(),
    "set": {1},
    "bytes": b"x",
    "huge": 10**5000,
}


@pytest.mark.parametrize("output", UNSTORABLE.values(), ids=UNSTORABLE)
def test_what_json_cannot_hold_is_refused(output: e.Json) -> None:
    """An output that is no JSON is refused in one line."""
    with pytest.raises(UsageError, match=r"\Athis cannot be stored as JSON: .+\Z"):
        to_row(e.StepSucceeded(0, output))


def test_json_that_is_too_deep_or_turns_on_itself_is_refused() -> None:
    """A list in itself is refused, not followed for ever."""
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(UsageError, match="cannot be stored"):
        to_json(ring)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (EventRow("step-exploded", 0, None), "its type 'step-exploded' is not known"),
        (EventRow("step-started", 0, "[1"), "its data is no JSON"),
        (EventRow("step-started", 0, b"\xff"), "its data is no JSON"),  # type: ignore[arg-type]  # SQLite lets it in
        (EventRow("step-started", 0, "{}"), "its data is no JSON list: {}"),
        (EventRow("step-started", 0, None), r"has 1 fields, not 2 \(step, attempt\)"),
        (EventRow("step-started", None, "[1,1]"), "its step is None"),
        (EventRow("paused", 3, '["why"]'), "its step is 3"),
        (EventRow("submitted", None, '["me",1]'), "has 2 fields, not 1"),
        (EventRow("step-started", 0, '["1"]'), "attempt is '1'"),
        (EventRow("step-started", 0, "[true]"), "attempt is True"),
        (EventRow("step-started", "x", "[1]"), "step is 'x'"),  # type: ignore[arg-type]  # SQLite lets it in
        (EventRow("ended", None, '["lost"]'), "outcome is 'lost'"),
    ],
)
def test_a_bad_row_names_its_place(row: EventRow, why: str) -> None:
    """A row that does not say what its event needs is corrupt, and the message says where and why."""
    with pytest.raises(LogCorrupt, match=rf"\Asaga S, event 7 cannot be read back: .*{why}.*restore"):
        from_row(row, saga="S", seq=7)


def test_any_output_is_json_again() -> None:
    """What is stored is JSON for others too."""
    assert json.loads(to_json({"a": "\ud800"})) == {"a": "\ud800"}
