"""What zones are configured: one durable JSON document each, `<state>/zones/<name>.json`.

A zone that has no document was made by no saga. The fingerprint is that of the document's own spec when it
was written, so a zone is known again by whatever version of this program reads it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Final

from pydantic import TypeAdapter, ValidationError

from sledsaga.errors import Unparsable
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.zone import ZoneSpec

_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class ZoneDocument:
    """A zone as it was configured, and by which saga."""

    saga: str | None
    fingerprint: str
    spec: ZoneSpec


def fingerprint(spec: ZoneSpec) -> str:
    """Return the sha256, in hex, of all that makes a zone what it is.

    The path of its image is not in it, its hash is: the same image from another place is the same.
    """
    known = dataclasses.asdict(spec)
    del known["image"]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def parse_document(data: bytes) -> ZoneDocument:
    """Read a zone's document. Raises Unparsable."""
    try:
        return _adapter().validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise Unparsable(
            f"a zone's document has {'.'.join(map(str, first['loc'])) or data[:40]!r}: {first['msg']}"
        ) from error


def render_document(document: ZoneDocument) -> bytes:
    """Return the bytes that `parse_document` reads."""
    return _adapter().dump_json(document, indent=1) + b"\n"


@cache
def _adapter() -> TypeAdapter[ZoneDocument]:
    return TypeAdapter(ZoneDocument)


@dataclass(frozen=True, slots=True)
class Records:
    """The documents of all zones of one machine."""

    host: Host
    machine: Machine

    @property
    def folder(self) -> str:
        """Where the documents are."""
        return f"{self.machine.state}/zones"

    def names(self) -> tuple[str, ...]:
        """Return the names of all zones that are configured."""
        there = self.host.list_dir(self.folder)
        return tuple(
            name.removesuffix(_SUFFIX) for name in there if name.endswith(_SUFFIX) and name[0] != "."
        )

    def read(self, name: str) -> ZoneDocument | None:
        """Return a zone's document, or None when it is not configured. Raises Unparsable with its path."""
        data = self.host.read_file(self._path(name))
        try:
            return None if data is None else parse_document(data)
        except Unparsable as error:
            raise Unparsable(
                f"{self._path(name)} cannot be read: {error}; mend it or move it away"
            ) from error

    def write(self, document: ZoneDocument) -> None:
        """Write a zone's document, whatever was there before."""
        self.host.make_dir(self.folder)
        self.host.write_file(self._path(document.spec.name), render_document(document))

    def remove(self, name: str) -> None:
        """Remove a zone's document; nothing there is fine."""
        self.host.remove_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}{_SUFFIX}"
