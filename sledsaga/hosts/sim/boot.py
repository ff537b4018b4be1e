"""A reboot: what is lost, and what comes up by itself.

Lost: keys, mounts, links, interfaces and addresses made with -t, routes, running zones (they are installed
then), temporary service states, and the files on tmpfs. Pools stay imported; one whose disk does
not answer is shut. Then the filesystems that mount by themselves are mounted, parents first; encrypted ones
wait for their key. Zones with autoboot=true are booted.
"""

from __future__ import annotations

from dataclasses import replace

from sledsaga.hosts.sim.argv import Call, Refusal
from sledsaga.hosts.sim.things import Address, Dataset, Interface, Link, Mount, Route, Service, Thing, Zone
from sledsaga.hosts.sim.zfs_mount import ALIVE, mount_all
from sledsaga.hosts.sim.zoneadm import zoneadm
from sledsaga.hosts.sim.zpool_shut import open_pools

TMPFS = ("var/run", "tmp", "etc/svc/volatile")


def reboot(call: Call) -> None:
    """Lose what a reboot loses, and come up again."""
    _lose_network(call)
    _lose_zones(call)
    for path in call.tx.under(Mount):
        call.tx.drop(Mount, path)
    for name, dataset in call.tx.under(Dataset).items():
        if dataset.loaded:
            call.tx.put(name, replace(dataset, loaded=False))
    for folder in TMPFS:
        call.tree.empty(call.tree.home / "root" / folder)
    open_pools(call)
    mount_all(call)
    _start_services(call)
    for name, zone in call.tx.under(Zone).items():
        if zone.props.get("autoboot") == "true" and zone.state == "installed":
            _try_boot(call, name)


def _lose_network(call: Call) -> None:
    _drop_temporary(call, Address)
    _drop_temporary(call, Interface)
    _drop_temporary(call, Link)
    for key in call.tx.under(Route):
        call.tx.drop(Route, key)


def _drop_temporary(call: Call, kind: type[Address | Interface | Link]) -> None:
    found: dict[str, Thing] = dict(call.tx.under(kind))
    for key, thing in found.items():
        if getattr(thing, "temporary", False):
            call.tx.drop(kind, key)


def _lose_zones(call: Call) -> None:
    for name, zone in call.tx.under(Zone).items():
        if zone.state in ALIVE:
            call.tx.put(name, replace(zone, state="installed", number=0, booted_at=0.0))
    for key in call.tx.under(Service):
        if not key.startswith("global "):
            call.tx.drop(Service, key)


def _start_services(call: Call) -> None:
    for key, service in call.tx.under(Service, "global ").items():
        state = service.usual or service.state
        call.tx.put(key, replace(service, state=state, usual="", temporary=False, running=service.groups))


def _try_boot(call: Call, name: str) -> None:
    try:
        zoneadm(call, ["-z", name, "boot"])
    except Refusal:
        return
