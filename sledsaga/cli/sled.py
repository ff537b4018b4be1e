"""Verbs for the simulated sled: init, show, reboot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from sledsaga.cli.desk import Desk, shared_options, verb
from sledsaga.cli.draw import table
from sledsaga.cli.inputs import Body, read_document
from sledsaga.cli.root import root
from sledsaga.cli.words import clean
from sledsaga.errors import InvalidParams, UsageError

if TYPE_CHECKING:
    from sledsaga.hosts.sim import DiskSpec, SimSled

SIM: Final = "sim:"
GIB: Final = 2**30
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


@root.group("sled")
@shared_options
def sled() -> None:
    """Make a simulated sled, look at it, and reboot it."""


def _path(desk: Desk) -> str:
    setting = desk.settings.sled
    path = setting.value.removeprefix(SIM).partition("?")[0]
    if not setting.value.startswith(SIM) or not path:
        raise UsageError(f"{setting.origin}: {setting.value!r} is no simulated sled; sim:PATH is expected")
    return path


@contextmanager
def _opened(desk: Desk) -> Iterator[SimSled]:
    from sledsaga.hosts.sim import SimSled

    made = SimSled.open(_path(desk))
    try:
        yield made
    finally:
        made.close()


@verb(sled, "init")
@click.option("--config", metavar="FILE", help="A sled's config document; its disks are put in. - is stdin.")
@click.option(
    "--disks", type=click.IntRange(1, 100), metavar="N", help="Without a document: so many blank disks."
)
def init(desk: Desk, *, config: str | None, disks: int | None) -> None:
    r"""Make a simulated sled with the blank disks that a config document names, and two M.2s.

    \b
        sledsaga sled init --config sled-config.json
        sledsaga sled init --disks 2 --sled sim:/tmp/sled

    For the older document, which names no disks, one formatted disk for each pool that it mentions. Writes
    the sled's folder, which must be empty or absent.
    """
    from sledsaga.hosts.sim import SimSled

    if (config is None) == (disks is None):
        raise UsageError("give either --config FILE or --disks N")
    document = {} if config is None else read_document(config)
    specs = blank_disks(disks) if disks is not None else disks_of(document)
    path = _path(desk)
    images = {name: f"image {name}\n".encode() for name in IMAGES}
    made = SimSled.init_from_disks(path, specs, images=images, artifacts=artifacts_of(document))
    try:
        _show(desk, made.describe())
    finally:
        made.close()


def blank_disks(count: int) -> list[DiskSpec]:
    """Return blank disks with serials BLANK0, BLANK1, …."""
    from sledsaga.hosts.sim import DiskSpec

    return [DiskSpec(OLD_VENDOR, OLD_MODEL, f"BLANK{number}") for number in range(count)]


def disks_of(document: Body) -> list[DiskSpec]:
    """Return the disks of a config document: those it names, else a formatted one for each of its pools."""
    from sledsaga.hosts.sim import DiskSpec

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


@verb(sled, "show")
def show(desk: Desk) -> None:
    r"""Show the simulated sled: disks, pools, datasets, zones, links, ledgers.

    \b
        sledsaga sled show
        sledsaga sled show --json | jq '.zones[].name'

    Writes nothing.
    """
    with _opened(desk) as found:
        _show(desk, found.describe())


@verb(sled, "reboot")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def reboot(desk: Desk, *, yes: bool) -> None:
    """Reboot the simulated sled: what a real one loses by that is lost.

    Zones halt, keys are unloaded, temporary links and all that is not on a disk are gone. Not reversible.
    """
    if not yes and desk.terminal.can_ask:
        click.confirm(f"reboot the simulated sled in {_path(desk)}?", abort=True, err=True)
    with _opened(desk) as found:
        found.reboot()
        _show(desk, found.describe())


def _show(desk: Desk, body: dict[str, Any]) -> None:
    if desk.terminal.as_json:
        desk.terminal.json(body)
        return
    for kind, columns in COLUMNS.items():
        if rows := body.get(kind):
            made = table(kind.upper(), *(column.upper() for column in columns[1:]))
            for row in rows:
                made.add_row(*(_cell(column, row.get(column)) for column in columns))
            desk.terminal.show(made, "")


COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "disks": ("serial", "variant", "slot", "condition", "pool"),
    "pools": ("name", "health"),
    "datasets": ("name", "mounted", "mountpoint", "quota", "encryption", "id", "saga"),
    "zones": ("name", "state", "path"),
    "links": ("name", "class", "over"),
    "ledgers": ("path", "generation"),
}


def _cell(column: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column == "quota":
        return f"{value / GIB:g} GiB"
    return clean(value if isinstance(value, str) else json.dumps(value))
