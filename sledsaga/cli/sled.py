"""Verbs for the sled: init, show, reboot, remove."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from sledsaga.cli.desk import Desk, shared_options, verb
from sledsaga.cli.files import make_real, remove_real, seen_really
from sledsaga.cli.inputs import read_document
from sledsaga.cli.root import root
from sledsaga.cli.tables import Table
from sledsaga.cli.words import clean
from sledsaga.errors import UsageError

if TYPE_CHECKING:
    from sledsaga.hosts.sim import SimSled

SIM: Final = "sim:"
GIB: Final = 2**30


@root.group("sled")
@shared_options
def sled() -> None:
    """Make a sled to try on, look at a sled, and reboot a simulated one."""


def _is_simulated(desk: Desk) -> bool:
    return desk.settings.sled.value.startswith(SIM)


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
@click.option("--size", metavar="BYTES", help="Of each disk that is a file: 128M, 2G; 1G unless given.")
@click.option(
    "--plain", is_flag=True, help="Data may lie unencrypted, where this machine's ZFS cannot encrypt."
)
def init(desk: Desk, *, config: str | None, disks: int | None, size: str | None, plain: bool) -> None:
    r"""Make a sled with the blank disks that a config document names, and two M.2s.

    \b
        sledsaga sled init --config sled-config.json
        sledsaga sled init --disks 2 --sled sim:/tmp/sled
        sledsaga sled init --disks 2 --size 1G --sled local:/tmp/sled/sled.json

    A simulated one, or real pools of this machine on disks that are files beside the document. For the older
    config document, which names no disks, a simulated sled gets one formatted disk for each pool that it
    mentions. Writes the sled's folder, which must be empty or absent.
    """
    if (config is None) == (disks is None):
        raise UsageError("give either --config FILE or --disks N")
    document = {} if config is None else read_document(config)
    if not _is_simulated(desk):
        make_real(desk, document, disks, size=size, plain=plain)
        show_sled(desk, seen_really(desk))
        return
    if size is not None or plain:
        raise UsageError("--size and --plain are for disks that are files: --sled local:DOCUMENT")
    _make_simulated(desk, document, disks)


def _make_simulated(desk: Desk, document: dict[str, Any], disks: int | None) -> None:
    from sledsaga.hosts.sim.document import blank_disks, disks_of, make_sled

    specs = blank_disks(disks) if disks is not None else disks_of(document)
    made = make_sled(_path(desk), specs, document)
    try:
        show_sled(desk, made.describe())
    finally:
        made.close()


@verb(sled, "show")
def show(desk: Desk) -> None:
    r"""Show the sled: disks, pools, datasets, zones, links, ledgers.

    \b
        sledsaga sled show
        sledsaga sled show --json | jq '.zones[].name'
        sledsaga sled show --sled local:

    Of a real machine only what is named as ours is shown. Changes nothing.
    """
    if not _is_simulated(desk):
        show_sled(desk, seen_really(desk))
        return
    with _opened(desk) as found:
        show_sled(desk, found.describe())


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
        show_sled(desk, found.describe())


@verb(sled, "remove")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove(desk: Desk, *, yes: bool) -> None:
    """Take away a sled on disks that are files: the zones and links of its sagas, its pools, its files.

    For a sled that `sled init --sled local:DOCUMENT` made. Nothing of it is kept; not reversible.
    """
    if not yes and not desk.terminal.can_ask:
        raise UsageError("nobody can be asked here, and all data would go: give --yes")
    if not yes:
        click.confirm(f"remove {desk.settings.sled.value} with all data on it?", abort=True, err=True)
    gone = remove_real(desk)
    if desk.terminal.as_json:
        desk.terminal.json({"v": 1, "removed": gone})
    else:
        desk.terminal.show(*(f"removed {clean(one)}" for one in gone))


def show_sled(desk: Desk, body: dict[str, Any]) -> None:
    """Show what a sled has, as tables or as JSON."""
    if desk.terminal.as_json:
        desk.terminal.json(body)
        return
    for kind, columns in COLUMNS.items():
        if rows := body.get(kind):
            made = Table((kind.upper(), *(column.upper() for column in columns[1:])))
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
