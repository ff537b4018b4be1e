"""What documents show of a terminal is what a terminal shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.transcript import CONSOLE, normalised, rewritten

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", ["README.md", "docs/operating.md"])
def test_a_document_shows_what_happens(name: str) -> None:
    """The transcript in a document, run again, prints the same but for ids, names and times."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert CONSOLE.search(text)
    assert normalised(rewritten(text)) == normalised(text), f"run: python tests/docs/transcript.py {name}"


def test_only_what_changes_is_made_the_same() -> None:
    """Two lines that differ in a word, a state or a number of steps stay different."""
    line = "01a2043c-679e  ✓ succeeded  provision-crdb v1  -  0.4 s ago (2026-11-22 17:07:36Z)"
    later = "01a30000-0000  ✓ succeeded  provision-crdb v1  -  3 min ago (2027-01-01 00:00:00Z)"
    assert normalised(line) == normalised(later)
    assert normalised(line) != normalised(line.replace("succeeded", "undone"))
    assert normalised(line) != normalised(line.replace("v1", "v2"))
