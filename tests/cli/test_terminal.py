"""What a person at a terminal sees and is asked, through a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from sledsaga.cli.draw import both_ends, failure_lines, step_line, tree
from sledsaga.cli.terminal import Terminal
from sledsaga.core.define import no_undo, operation, step
from sledsaga.core.events import Recorded, Submitted
from sledsaga.core.machine import replay
from sledsaga.core.model import Model
from sledsaga.core.plan import plan
from sledsaga.core.view import view


class Person:
    """Somebody at a terminal: reads what is shown until it holds a word, and types."""

    def __init__(self, place: Any, *words: str, **env: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = place.env(**{"TERM": "xterm", "COLUMNS": "100", "LINES": "30", **env})
        self.process = subprocess.Popen(
            [*place.program, *words],
            cwd=place.path,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.seen = ""

    def reads(self, word: str) -> str:
        while word not in self.seen:
            self.seen += os.read(self._ours, 4096).decode()
        return self.seen

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ends(self) -> int:
        try:
            while more := os.read(self._ours, 4096):
                self.seen += more.decode()
        except OSError:  # Linux says so when the other end is closed
            pass
        os.close(self._ours)
        return self.process.wait(30)


def stuck(place: Any) -> str:
    """Submit a saga that ends stuck; return its id."""
    return str(place.run("submit", "two", "-p", "fail=undo", "--json").json["id"])


def state(place: Any, saga: str) -> str:
    return str(place.run("show", saga, "--json").json["state"])


def test_an_ordinary_verb_asks_for_reason_and_yes(place: Any) -> None:
    """On a terminal a verb asks why and whether; a yes does it."""
    saga = stuck(place)
    person = Person(place, "pause", saga)
    person.reads("why pause")
    person.types("disk swap\n")
    person.reads("[y/N]")
    person.types("y\n")
    assert person.ends() == 0
    assert state(place, saga) == "paused"


def test_a_no_changes_nothing(place: Any) -> None:
    """A no at the question ends with 130 and changes nothing."""
    saga = stuck(place)
    person = Person(place, "pause", saga, "--reason", "x")
    person.reads("[y/N]")
    person.types("n\n")
    assert person.ends() == 130
    assert state(place, saga) == "stuck"


@pytest.mark.parametrize(("typed", "code", "left"), [("yes", 130, "stuck"), ("", 0, "abandoned")])
def test_a_dangerous_verb_wants_the_id_typed(place: Any, typed: str, code: int, left: str) -> None:
    """`abandon` on a terminal is done only when the saga's short id is typed."""
    saga = stuck(place)
    person = Person(place, "abandon", saga, "--reason", "scrapped")
    person.reads(f"type {saga[:13]}")
    person.types(f"{typed or saga[:13]}\n")
    assert person.ends() == code
    assert state(place, saga) == left


def test_a_saga_moves_on_a_terminal(place: Any) -> None:
    """On a terminal a submit draws a tree that moves, in colour; at the end the tree stands still."""
    person = Person(place, "submit", "two", "-p", "gate=open")
    person.reads("running")
    assert "submitted" not in person.seen
    (place.path / "open").touch()
    assert person.ends() == 0
    assert "\x1b[32m" in person.seen
    assert "\x1b[?25h" in person.seen


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(place: Any, env: dict[str, str]) -> None:
    """NO_COLOR and TERM=dumb are heard on a terminal."""
    place.run("submit", "two")
    person = Person(place, "list", **env)
    assert person.ends() == 0
    assert "succeeded" in person.seen
    assert "\x1b[3" not in person.seen


def test_a_dumb_terminal_gets_lines(place: Any) -> None:
    """Where a picture cannot move, changes are lines."""
    person = Person(place, "submit", "two", TERM="dumb")
    assert person.ends() == 0
    assert "first: started" in person.seen


class Nothing(Model):
    """No params."""


def many(count: int) -> Any:
    """Return a saga of many steps, to which nothing has happened."""

    def do() -> None: ...

    steps = [step(do, name=f"part{n}", undo=no_undo("nothing")) for n in range(count)]
    planned = plan(operation("many", version=1, params=Nothing, steps=steps))
    return view("0198", planned, replay(planned.dag, [Recorded(1, 0.0, 0, Submitted("me"))]))


def test_a_moving_tree_fits_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """A saga with more steps than the terminal has lines is drawn with what fits, and says how many more."""
    Terminal(colour="never").show(tree(many(50), "0198", 1.0, most=10))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 12
    assert "more steps" in lines[-1]


def test_a_tree_that_stands_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """`show` leaves no step out."""
    Terminal(colour="never").show(tree(many(50), "0198", 1.0))
    assert len(capsys.readouterr().out.splitlines()) == 51


def test_a_long_error_keeps_its_end() -> None:
    """Of an error that is too long for its line the middle goes: its reason is at the end."""
    step = view_of_one("failed", error=f"CommandFailed: `zfs create {'-o x=y ' * 60}`; it said: out of space")
    line = step_line(step, 1.0).plain
    assert "failed  CommandFailed: `zfs create" in line
    assert line.endswith("it said: out of space")
    assert len(line) < 330
    assert [both_ends("0123456789", most) for most in (10, 9)] == ["0123456789", "012 … 789"]


def test_a_failure_that_fails_no_saga_is_shown() -> None:
    """What a step tells in the `why` of its output stands beside its tick; else nothing does."""
    output = {"state": "failed", "why": "it has no key\nto change", "pool": "p"}
    assert step_line(view_of_one("succeeded", output=output), 1.0).plain.endswith(
        "succeeded  failed: it has no key to change"
    )
    for quiet in ({"state": "present", "why": ""}, {"state": "present"}, ["why"], None):
        assert step_line(view_of_one("succeeded", output=quiet), 1.0).plain.endswith("succeeded")


def test_failures_that_fail_no_saga_are_counted() -> None:
    """One line says how many of those that tell how it went have failed; with none there is no line."""
    shown = many(4)
    outputs = ({"state": "failed", "why": "x"}, {"state": "present", "why": ""}, {"why": "no state"}, None)
    steps = tuple(replace(s, state="succeeded", output=o) for s, o in zip(shown.steps, outputs, strict=True))
    (line,) = failure_lines(replace(shown, steps=steps))
    assert line.plain == "! 1 of 2 failed; why stands beside each"
    assert list(failure_lines(replace(shown, steps=steps[1:]))) == []


def view_of_one(state: str, **facts: Any) -> Any:
    """Return a step as it is seen in a state."""
    return replace(many(1).steps[0], state=state, **facts)
