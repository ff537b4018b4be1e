"""Take away what sagas have put on the pools of one sled, so that its disks can go.

- Whose a link is, is known by the sagas that made something on these pools; links of other sagas stay.
- Zones go first, then addresses, then VNICs, then etherstubs; what has no saga's mark is left alone.
- This is for a sled that was made to try on (`virtual`): nothing of it is kept, data neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sledsaga.hosts.host import Host
from sledsaga.hosts.linux.links import owners
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.names import LinkName, PoolName
from sledsaga.hosts.sled import Sled


def clear_sagas(sled: Sled, machine: Machine, pools: tuple[PoolName, ...]) -> Iterator[str]:
    """Take away zones, addresses and links, and yield the name of each. Raises ForeignObject, Transient."""
    names = [name for pool in pools for name in sled.datasets.tree(pool)]
    sagas = {seen.saga for seen in sled.datasets.observe_all(names).values()}
    for zone in sled.zones.observe_all():
        if zone.saga is not None and any(zone.path.startswith(f"{pool.mountpoint}/") for pool in pools):
            sagas.add(zone.saga)
            sled.zones.retire(zone.name)
            yield f"zone {zone.name}"
    yield from _clear_links(sled, machine, {saga for saga in sagas if saga is not None})


def sweep(host: Host, machine: Machine) -> None:
    """Remove the folders that drivers keep their records in, as far as they are empty."""
    for folder in (machine.run, machine.state):
        for name in host.list_dir(folder):
            path = f"{folder}/{name}"
            found = host.stat(path)
            if found is not None and found.kind == "dir" and not host.list_dir(path):
                host.remove_dir(path)


def _clear_links(sled: Sled, machine: Machine, sagas: set[str]) -> Iterator[str]:
    mine = [(name, saga) for saga in sagas for name in owners(sled.host, saga, machine).mine()]
    stubs = sled.links.etherstubs()
    for name, saga in sorted(mine, key=lambda row: (_rank(row[0], stubs), row)):
        links = replace(sled, saga=saga).links
        if "/" in name:
            links.delete_address(name)
        elif name in stubs:
            links.delete_etherstub(LinkName(name))
        else:
            links.delete_vnic(LinkName(name))
        yield f"link {name}"


def _rank(name: str, stubs: frozenset[str]) -> int:
    """Addresses stand on links, and links on etherstubs."""
    return 0 if "/" in name else 2 if name in stubs else 1
