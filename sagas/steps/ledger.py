"""Ledgers: look at all copies, then write a document to each; undo gives each copy what it held.

A document is written in one form only, keys sorted, so the same document is the same bytes. The form keeps
every field, known or not. The order of keys, and of items in a list, makes no difference between two
documents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sagas.steps.patience import patient
from sledsaga.core.define import Absent, Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.errors import Conflict, HostError, Mutates, SledsagaError
from sledsaga.hosts.ledgers import encode
from sledsaga.hosts.sled import Sled

Json = Any
BYTE_FOR_BYTE = "latin-1"
"""An encoding that keeps any bytes, also those of a corrupt copy, as text that JSON can hold."""


class LedgerSeen(Model):
    """A ledger as it was: each copy's digest by path (None: no copy there), and each content by digest.

    `unavailable` has the paths of copies that could not be looked at.
    """

    generation: int
    newest: str | None
    copies: dict[str, str | None]
    contents: dict[str, str]
    unavailable: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Json] | None:
        """The newest document, or None when the ledger was never written."""
        return (
            None
            if self.newest is None
            else dict(json.loads(self.contents[self.newest].encode(BYTE_FOR_BYTE)))
        )

    @property
    def at_hand(self) -> list[str]:
        """The paths of copies that were looked at, so that an undo knows what they held."""
        return [path for path in self.copies if path not in self.unavailable]

    def content(self, path: str) -> bytes | None:
        """Return what the copy at a path held, or None."""
        digest = self.copies.get(path)
        return None if digest is None else self.contents[digest].encode(BYTE_FOR_BYTE)


class LedgerWritten(Model):
    """A ledger that was written, or found so; `missing` tells of copies that could not be."""

    generation: int
    copies: list[str]
    missing: list[str]


def sorted_keys(document: Mapping[str, Json]) -> dict[str, Json]:
    """Return a document with the keys of all its objects sorted: one document, one form."""
    return dict(json.loads(json.dumps(document, sort_keys=True)))


def is_same(one: Json, other: Json) -> bool:
    """Say whether two documents say the same, in whatever order."""
    return bool(_unordered(one) == _unordered(other))


def differences(one: Mapping[str, Json], other: Mapping[str, Json]) -> list[str]:
    """Name the top-level keys under which two documents differ."""
    keys = sorted({*one, *other})
    return [
        key for key in keys if not is_same(one.get(key), other.get(key)) or (key in one) != (key in other)
    ]


def check_generation(generation: int, document: Mapping[str, Json], seen: LedgerSeen) -> None:
    """Refuse a document older than the ledger's, or another of the same generation. Raises Conflict."""
    if seen.document is None:
        return
    if generation < seen.generation:
        raise Conflict(
            f"generation {generation} is outdated: the sled has {seen.generation}; send a higher one"
        )
    if generation == seen.generation and not is_same(document, seen.document):
        where = ", ".join(differences(document, seen.document))
        raise Conflict(
            f"generation {generation} is on the sled with another content ({where} differ); send a higher one"
        )


@patient
def look(sled: Sled, name: str) -> LedgerSeen:
    """Read all copies. Raises Conflict (one generation, two contents), Unparsable (no copy can be read)."""
    read = sled.ledgers.read(name)
    copies: dict[str, str | None] = {}
    contents: dict[str, str] = {}
    for copy in read.copies:
        data = None if copy.state == "unavailable" else sled.host.read_file(copy.path)
        copies[copy.path] = None
        if data is not None:
            digest = hashlib.sha256(data).hexdigest()
            copies[copy.path], contents[digest] = digest, data.decode(BYTE_FOR_BYTE)
    newest = None if read.data is None else hashlib.sha256(read.data).hexdigest()
    away = [copy.path for copy in read.copies if copy.state == "unavailable"]
    return LedgerSeen(
        generation=read.generation, newest=newest, copies=copies, contents=contents, unavailable=tuple(away)
    )


@patient
def write(sled: Sled, name: str, document: dict[str, Json], before: LedgerSeen) -> LedgerWritten:
    """Write a document to every copy that does not hold it. Raises Conflict, HostError (no copy written).

    A copy that was not at hand before is not written: no undo would know what it held.
    """
    done = sled.ledgers.write(name, to_write(document, before), only=before.at_hand)
    missing = [f"{path}: {why}" for path, why in done.failed]
    return LedgerWritten(
        generation=done.generation, copies=sorted((*done.written, *done.unchanged)), missing=missing
    )


def undo_write(sled: Sled, name: str, document: dict[str, Json], before: LedgerSeen) -> None:
    """Give each copy that holds our document what it held before, or remove it; a later write stays.

    Raises HostError, when all others are done, for a copy that was at hand before and is not now: it may
    hold our document, which would win over the older one when its disk comes back.
    """
    mine = encode(to_write(document, before))
    now = {f"{place.path}/{name}": place.problem for place in sled.ledger_places()}
    problems = {path: now.get(path, "its pool is not imported") for path in before.at_hand}
    for path, problem in problems.items():
        if not problem:
            problems[path] = _put_back(sled, path, mine=mine, was=before.content(path))
    away = [f"{path}: {why}" for path, why in problems.items() if why]
    if away:
        raise HostError(f"{'; '.join(away)}: it may hold what is undone; bring it back, then retry the undo")


def _put_back(sled: Sled, path: str, *, mine: bytes, was: bytes | None) -> str:
    """Give a copy that is ours what it held; return why that cannot be, or nothing."""
    try:
        if was == mine or sled.host.read_file(path) != mine:
            return ""
        if was is None:
            sled.host.remove_file(path)
        else:
            sled.host.write_file(path, was)
    except HostError as error:
        return str(error)
    return ""


def probe(sled: Sled, name: str, document: dict[str, Json]) -> Probe:
    """Say whether every copy holds the document, or why it may not be written.

    A copy that is to be mounted again first cannot be looked at, so it is not known to hold the document.
    """
    try:
        seen = look(sled=sled, name=name)
        generation = int(document.get("generation", 0))
        check_generation(generation, document, seen)
    except Mutates:
        return Absent()
    except SledsagaError as error:
        return Conflicting(str(error))
    if seen.document is None or generation != seen.generation or len({*seen.copies.values()}) > 1:
        return Absent()
    return Present(LedgerWritten(generation=generation, copies=sorted(seen.copies), missing=[]))


def to_write(document: Mapping[str, Json], before: LedgerSeen) -> dict[str, Json]:
    """Return what is to be written: the ledger's own bytes when it says the same, so that they stay."""
    if before.document is not None and is_same(document, before.document):
        return before.document
    return sorted_keys(document)


def _unordered(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _unordered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted(
            (_unordered(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True)
        )
    return value
