"""A simulated sled as a config document wants it: the disks that it names, and the images that its zones are.

Only what stands at fixed places is read here: what the document means is for the operation that applies it.
Disks are blank. The older document names no disks: each pool that it mentions anywhere gets a formatted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sledsaga.errors import InvalidParams
from sledsaga.hosts.sim.layout import DiskSpec
from sledsaga.hosts.sim.sled import SimSled

Body = dict[str, Any]
OLD_VENDOR, OLD_MODEL = "1b96", "WUS4C6432DSP3X3"
"""What disks are called that a document does not name: the kind that real sleds carry."""


IMAGES: Final = (
    "clickhouse",
    "clickhouse_keeper",
    "clickhouse_server",
    "cockroachdb",
    "crucible",
    "crucible_pantry",
    "external_dns",
    "internal_dns",
    "nexus",
    "ntp",
    "oximeter",
)
"""The zone images that come installed; their bytes only pretend."""


def make_sled(path: str | Path, disks: Sequence[DiskSpec], document: Body) -> SimSled:
    """Make a sled in a folder with these disks, two M.2s, and every image that the document names.

    Raises HostError when the folder is not empty.
    """
    images = {name: f"image {name}\n".encode() for name in IMAGES}
    return SimSled.init_from_disks(path, disks, images=images, artifacts=artifacts_of(document))


def blank_disks(count: int) -> list[DiskSpec]:
    """Return blank disks with serials BLANK0, BLANK1, …."""
    return [DiskSpec(OLD_VENDOR, OLD_MODEL, f"BLANK{number}") for number in range(count)]


def disks_of(document: Body) -> list[DiskSpec]:
    """Return the disks of a config document: those it names, else a formatted one for each of its pools."""
    try:
        disks = document.get("disks")
        if disks is not None:
            named = (disk["identity"] for disk in _values(disks))
            return [DiskSpec(str(one["vendor"]), str(one["model"]), str(one["serial"])) for one in named]
        return [
            DiskSpec(OLD_VENDOR, OLD_MODEL, f"SIM{pool[4:12].upper()}", pool=pool)
            for pool in sorted({pool for zone in _zones(document) for pool in _pools(zone)})
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidParams(
            f"this is no sled config: {type(error).__name__} {error} in its disks or zones"
        ) from error


def _values(parts: Any) -> Iterable[Any]:  # noqa: ANN401 - a list, or an object by id
    return parts.values() if isinstance(parts, dict) else parts


def _zones(document: Body) -> list[Body]:
    if "zones" not in document:
        raise InvalidParams("this is no sled config: it has neither disks nor zones")
    return list(_values(document["zones"]))


def _pools(part: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield the external pools that are mentioned anywhere in a part of a document."""
    if isinstance(part, str) and part.startswith("oxp_"):
        yield part
    elif isinstance(part, dict | list):
        for inner in _values(part):
            yield from _pools(inner)


def artifacts_of(document: Body) -> dict[str, bytes]:
    """Return the artifacts that the zones of a document are made from; their bytes only pretend."""
    sources = (zone.get("image_source") or {} for zone in _values(document.get("zones", ())))
    hashes = {
        str(source["hash"]) for source in sources if source.get("type") == "artifact" and "hash" in source
    }
    return {digest: f"image {digest}\n".encode() for digest in sorted(hashes)}
