"""Diagnostics: off until enabled, text or JSON, one sink, on whatever stderr is then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sledsaga import observe

SPEAK = "from loguru import logger\nlogger.bind(saga='s1', step='pool').{level}('a {{}}', 'word')"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Leave nothing switched on for other tests."""
    yield
    observe.disable()


def speak(level: str = "info") -> None:
    """Say something as a module of the library does."""
    exec(SPEAK.format(level=level), {"__name__": "sledsaga.engine.execute"})  # noqa: S102 - loguru goes by the module


def test_a_program_that_uses_the_library_hears_nothing() -> None:
    """Until diagnostics are enabled the library says nothing, though loguru's own sink stands ready."""
    code = f"import sledsaga.observe; exec({SPEAK.format(level='error')!r}, {{'__name__': 'sledsaga.x'}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_text_names_saga_and_step(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of text has its level, its saga and step, and the message; lesser ones are left out."""
    observe.enable("info")
    speak("info")
    speak("debug")
    (line,) = capsys.readouterr().err.splitlines()
    assert "INFO" in line
    assert line.endswith("[s1 pool] a word")


def test_json_has_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of JSON has saga, step, level and message as fields, and its time in RFC 3339."""
    observe.enable("debug", as_json=True)
    speak("warning")
    body = json.loads(capsys.readouterr().err)
    assert (body["v"], body["level"], body["message"]) == (1, "warning", "a word")
    assert (body["saga"], body["step"], body["at"][-1]) == ("s1", "pool", "Z")


def test_enabling_twice_says_things_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A second `enable` replaces the first; after `disable` nothing is said."""
    observe.enable("info")
    observe.enable("info")
    speak()
    assert len(capsys.readouterr().err.splitlines()) == 1
    observe.disable()
    speak("critical")
    assert capsys.readouterr().err == ""
