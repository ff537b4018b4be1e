"""The words of a zonecfg script: which commands it has, and what stands in each.

A bare word ends at a blank or one of `"` `;` `=` `[` `]` `(` `)`, and within brackets at a comma, too. A
quoted text may hold anything but a quote and a line end. A line that begins with `#` is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from sledsaga.hosts.sim.argv import Refusal

_WORD = re.compile(r'[ \t]+|"(?P<quoted>[^"\n]*)"|(?P<mark>[=;\n\[\]()])|(?:[^ \t\n",;=\[\]()]+|,)')
_COMMENT = re.compile(r"[ \t]*#[^\n]*")
_COMPLEX = r"\(n=[nw](?:,n=[nw])*\)"
_ITEM = rf"(?:[nw]|{_COMPLEX})"
_FORMS = re.compile(rf"[nw]|{_COMPLEX}|\[(?:{_ITEM}(?:,{_ITEM})*)?\]")
"""What a value may look like: `n` is a bare name of a property, `w` any other text."""


@dataclass(frozen=True, slots=True)
class Word:
    """A text, or a mark that stands between texts."""

    text: str
    kind: str

    @property
    def is_bare(self) -> bool:
        """Whether it is a text without quotes, and so may be a name."""
        return self.kind == "bare"


def split(script: str) -> list[list[Word]]:
    """Split a script into its commands, and each into words. Refuses what has no form."""
    found: list[list[Word]] = [[]]
    at = depth = 0
    while at < len(script):
        comment = None if found[-1] else _COMMENT.match(script, at)
        match = comment or _WORD.match(script, at)
        if match is None:
            raise Refusal(f"zonecfg: syntax error at '{script[at : at + 20]}'")
        at = match.end()
        if match is comment or not match[0].strip(" \t"):
            continue
        mark = match["mark"] or ""
        if mark in (";", "\n"):
            found.append([])
            depth = 0
            continue
        depth += (mark in ("[", "(")) - (mark in ("]", ")"))
        _append(
            found[-1],
            match,
            in_brackets=depth > 0,
            is_joined=script[match.start() - 1 : match.start()].strip() != "",
        )
    return [words for words in found if words]


def _append(words: list[Word], match: re.Match[str], *, in_brackets: bool, is_joined: bool) -> None:
    """Add what was matched; outside brackets a comma is part of the word that it stands in."""
    if match["quoted"] is not None:
        words.append(Word(match["quoted"], "quoted"))
    elif match["mark"]:
        words.append(Word(match["mark"], "mark"))
    elif in_brackets:
        words.append(Word(match[0], "mark" if match[0] == "," else "bare"))
    elif is_joined and words and words[-1].is_bare:
        words[-1] = Word(words[-1].text + match[0], "bare")
    else:
        words.append(Word(match[0], "bare"))


def value(words: list[Word], names: Container[str]) -> str:
    """Return the text of one value that all the words make. Refuses any other number of values."""
    shapes = [
        each.text if each.kind == "mark" else "n" if each.is_bare and each.text in names else "w"
        for each in words
    ]
    if not _FORMS.fullmatch("".join(shapes)):
        raise Refusal(f"zonecfg: syntax error at '{' '.join(each.text for each in words)}'")
    return "".join(each.text for each in words)
