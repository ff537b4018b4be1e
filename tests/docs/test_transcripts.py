"""What documents show of a terminal is what a terminal shows."""

from __future__ import annotations

from pathlib import Path

from tests.docs.transcript import CONSOLE, normalised, rewritten

README = Path(__file__).parent.parent.parent / "README.md"


def test_the_readme_shows_what_happens() -> None:
    """The transcript in the README, run again, prints the same but for ids and times."""
    text = README.read_text(encoding="utf-8")
    assert CONSOLE.search(text)
    again = "run: python tests/docs/transcript.py README.md"
    assert normalised(rewritten(text)) == normalised(text), again


def test_only_what_changes_is_made_the_same() -> None:
    """Two lines that differ in a word, a state or a number of steps stay different."""
    line = "01a2043c-679e  ✓ succeeded  provision-crdb v1  -  0.4 s ago (2026-11-22 17:07:36Z)"
    later = "01a30000-0000  ✓ succeeded  provision-crdb v1  -  3 min ago (2027-01-01 00:00:00Z)"
    assert normalised(line) == normalised(later)
    assert normalised(line) != normalised(line.replace("succeeded", "undone"))
    assert normalised(line) != normalised(line.replace("v1", "v2"))
