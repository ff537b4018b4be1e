"""Verbs for the simulated sled: init, show, reboot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from sledsaga.cli.desk import Desk, shared_options, verb
from sledsaga.cli.draw import table
from sledsaga.cli.inputs import read_document
from sledsaga.cli.root import root
from sledsaga.cli.words import clean
from sledsaga.errors import UsageError

if TYPE_CHECKING:
    from sledsaga.hosts.sim import SimSled

SIM: Final = "sim:"
GIB: Final = 2**30


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
    from sledsaga.hosts.sim.document import blank_disks, disks_of, make_sled

    if (config is None) == (disks is None):
        raise UsageError("give either --config FILE or --disks N")
    document = {} if config is None else read_document(config)
    specs = blank_disks(disks) if disks is not None else disks_of(document)
    made = make_sled(_path(desk), specs, document)
    try:
        _show(desk, made.describe())
    finally:
        made.close()


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
