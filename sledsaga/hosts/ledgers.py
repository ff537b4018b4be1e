"""Ledgers: small JSON documents with a generation, one copy on each internal disk.

Rules
- A read looks at every copy. The highest generation wins; the same generation with other bytes is a
  Conflict; a copy that cannot be read is reported, never taken for absent, and only unreadable copies
  are an error: "never written" and "cannot tell" are two answers.
- A write never lowers the generation, and never gives one generation two contents. It is good when at
  least one copy was written; the result says which copies are missing. A copy with equal bytes is left alone,
  so writing the same again only repairs.
- A copy that was written counts when its place, asked once more, holds it: where a dataset was unmounted
  meanwhile the bytes would lie beside it, and be lost under the next mount.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sledsaga.errors import (
    CommandCancelled,
    CommandTimedOut,
    Conflict,
    HostError,
    HostUnreachable,
    Mutates,
    Unparsable,
)
from sledsaga.hosts.host import Host

Document = Mapping[str, Any]
Result = tuple[str, str, str]
"""Of one copy: its path, `written`, `unchanged` or `failed`, and why."""
_NOT_OF_ONE_COPY = (HostUnreachable, Mutates, CommandCancelled, CommandTimedOut)
"""Errors that say nothing about one disk, so another copy does not make up for them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder for copies; `problem` says why it cannot be used now (empty when it can).

    `is_mendable`: whoever may change the machine would mend it, and does so before it gets the place.
    """

    path: str
    problem: str = ""
    is_mendable: bool = False

    def refuse_unmended(self) -> None:
        """Raise Mutates for a place that an operation would mend, and one who only looks may not."""
        if self.is_mendable:
            raise Mutates(self.problem)


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy as it was found. `why` says what is wrong with a corrupt or unavailable one."""

    path: str
    state: Literal["good", "absent", "corrupt", "unavailable"]
    generation: int = 0
    digest: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class LedgerRead:
    """A ledger as it was found: `data` None (and generation 0) means that it was never written."""

    data: bytes | None
    generation: int
    copies: tuple[Copy, ...]

    @property
    def document(self) -> dict[str, Any] | None:
        """The document, every field of it, or None when it was never written."""
        return None if self.data is None else dict(json.loads(self.data))

    @property
    def is_degraded(self) -> bool:
        """Whether any copy is not the newest good one."""
        return any(copy.state != "good" or copy.generation != self.generation for copy in self.copies)


@dataclass(frozen=True, slots=True)
class LedgerWritten:
    """What a write did to each copy; `failed` holds paths and reasons."""

    generation: int
    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]

    @property
    def is_degraded(self) -> bool:
        """Whether a copy is missing."""
        return bool(self.failed)


def encode(document: Document) -> bytes:
    """Return the bytes of a document, always the same for the same document."""
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def parse_copy(data: bytes) -> int:
    """Return the generation that a copy carries. Raises Unparsable."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unparsable(f"no JSON ({error})") from error
    generation = document.get("generation") if isinstance(document, dict) else None
    if type(generation) is not int or generation < 0:
        raise Unparsable("no JSON object with a whole number `generation`")
    return generation


@dataclass(frozen=True, slots=True)
class Ledgers:
    """The ledgers of one sled; `places` names the folder on each internal disk, the boot disk first."""

    host: Host
    places: Callable[[], tuple[Place, ...]]

    def read(self, name: str) -> LedgerRead:
        """Read all copies of a ledger. Raises Conflict, Unparsable (no copy can be read), HostError."""
        found = [self._read_copy(place, name) for place in self.places()]
        copies = tuple(copy for copy, _ in found)
        good = [(copy, data) for copy, data in found if copy.state == "good"]
        corrupt = [copy for copy in copies if copy.state == "corrupt"]
        if not good and corrupt:
            raise Unparsable(f"ledger {name}: no copy can be read: {corrupt[0].path}: {corrupt[0].why}")
        if not good and all(copy.state == "unavailable" for copy in copies):
            raise HostError(
                f"ledger {name}: no internal disk is at hand ({_why(copies)}); try again when one is"
            )
        generation = max((copy.generation for copy, _ in good), default=0)
        newest = {data for copy, data in good if copy.generation == generation}
        if len(newest) > 1:
            paths = ", ".join(copy.path for copy, _ in good)
            raise Conflict(
                f"ledger {name}: generation {generation} has two contents ({paths}); choose one by hand"
            )
        return LedgerRead(next(iter(newest), None), generation, copies)

    def write(self, name: str, document: Document, *, only: Collection[str] | None = None) -> LedgerWritten:
        """Write a document that carries its own generation. Raises Conflict, HostError (no copy written).

        `only`: the paths of the copies that may be written; the others are told as missing.
        """
        data, seen = encode(document), self.read(name)
        generation = parse_copy(data)
        if generation < seen.generation:
            raise Conflict(f"ledger {name} is at generation {seen.generation}; {generation} is outdated")
        if generation == seen.generation and seen.document not in (None, dict(document)):
            raise Conflict(
                f"ledger {name}: generation {generation} is taken by another content; use a higher one"
            )
        return self._write_all(name, data, generation, only)

    def commit(self, name: str, body: Document) -> LedgerWritten:
        """Write a document under the next generation, which is put in for `generation`."""
        generation = self.read(name).generation + 1
        return self.write(name, {**body, "generation": generation})

    def restore(self, name: str, *, mine: bytes, before: bytes | None) -> bool:
        """Undo a write: give the copies that still hold `mine` their bytes from before, or remove them.

        False when none held them: then a later write has won, and it stays.
        """
        paths = [posixpath.join(place.path, name) for place in self.places() if not place.problem]
        holding = [path for path in paths if self.host.read_file(path) == mine]
        for path in holding:
            if before is None:
                self.host.remove_file(path)
            else:
                self.host.write_file(path, before)
        return bool(holding)

    def _read_copy(self, place: Place, name: str) -> tuple[Copy, bytes]:
        path = posixpath.join(place.path, name)
        place.refuse_unmended()
        if place.problem:
            return Copy(path, "unavailable", why=place.problem), b""
        try:
            data = self.host.read_file(path)
            if data is None:
                return Copy(path, "absent"), b""
            return Copy(path, "good", parse_copy(data), hashlib.sha256(data).hexdigest()), data
        except _NOT_OF_ONE_COPY:
            raise
        except Unparsable as error:
            return Copy(path, "corrupt", why=str(error)), b""
        except HostError as error:
            return Copy(path, "unavailable", why=str(error)), b""

    def _write_all(
        self, name: str, data: bytes, generation: int, only: Collection[str] | None
    ) -> LedgerWritten:
        results = [self._write_copy(place, name, data, only) for place in self.places()]
        results = self._confirmed(results, data)
        failed = tuple((path, why) for path, did, why in results if did == "failed")
        if len(failed) == len(results):
            raise HostError(f"ledger {name}: failed to write any copy: {'; '.join(why for _, why in failed)}")
        return LedgerWritten(generation, _paths(results, "written"), _paths(results, "unchanged"), failed)

    def _confirmed(self, results: list[Result], data: bytes) -> list[Result]:
        """Say of each copy that was written, and is not at its place, that it failed."""
        if not any(did == "written" for _, did, _ in results):
            return results
        problems = {place.path: place.problem for place in self.places()}
        return [self._still(result, problems, data) for result in results]

    def _still(self, result: Result, problems: Mapping[str, str], data: bytes) -> Result:
        path, did, _ = result
        if did != "written":
            return result
        problem = problems.get(posixpath.dirname(path), "its pool is not imported")
        if not problem and self.host.read_file(path) == data:
            return result
        return path, "failed", problem or "its dataset was mounted anew while it was written; write it again"

    def _write_copy(self, place: Place, name: str, data: bytes, only: Collection[str] | None) -> Result:
        path = posixpath.join(place.path, name)
        if place.problem:
            return path, "failed", place.problem
        try:
            if self.host.read_file(path) == data:
                return path, "unchanged", ""
            if only is not None and path not in only:
                return path, "failed", "it was not at hand when it was looked at; write it again"
            self.host.write_file(path, data)
        except _NOT_OF_ONE_COPY:
            raise
        except HostError as error:
            return path, "failed", str(error)
        return path, "written", ""


def _paths(results: Iterable[Result], did: str) -> tuple[str, ...]:
    return tuple(path for path, what, _ in results if what == did)


def _why(copies: Iterable[Copy]) -> str:
    return "; ".join(f"{copy.path}: {copy.why}" for copy in copies) or "none is known"
