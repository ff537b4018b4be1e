"""`zoneadm`: configured -> incomplete -> installed -> ready -> running, and back.

- install makes a dataset for the zonepath below the dataset that is mounted at its parent; one that is
  mounted there already is used when it is empty (and then stays when the zone is uninstalled). An image
  that is missing is found out after that: the zone is left `incomplete`, as on a real sled (omicron#5702).
- boot is refused while a NIC, a delegated dataset or the zone's root is missing.
- install and uninstall change files, which no transaction holds: a zone that was being (un)installed when
  the process died is `incomplete`, and uninstall is the way on.
- halt is at once; the files of the zone stay.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from sledsaga.hosts.sim import smf
from sledsaga.hosts.sim.argv import Call, Command, Options, Refusal, Reply, options, wrong
from sledsaga.hosts.sim.disks import is_reachable
from sledsaga.hosts.sim.things import Dataset, Link, Mount, Zone
from sledsaga.hosts.sim.zfs_change import destroy
from sledsaga.hosts.sim.zfs_create import fresh
from sledsaga.hosts.sim.zfs_mount import ALIVE, mount, unmount
from sledsaga.hosts.sim.zfs_props import is_mounted, mountpoint, setting

USAGE = (
    "zoneadm list [-cipvn]\n"
    "\tzoneadm -z zonename install|uninstall|boot|halt|shutdown|reboot|ready|mark|verify"
)
WRITING = ("install", "uninstall", "boot", "ready", "reboot")
FOLDERS = ("root/etc", "root/data", "root/opt", "root/var/svc/profile", "root/var/log", "root/tmp")
GLOBAL = "0:global:running:/::ipkg:shared"


def zoneadm(call: Call, args: list[str]) -> Reply:
    """List zones, or change the state of one."""
    opts = options(args, "z:u:R:", USAGE)
    if not opts.operands:
        wrong("missing command", USAGE)
    verb, rest = opts.operands[0], opts.operands[1:]
    if verb == "list":
        return _list(call, rest, opts.last("z"))
    if verb not in VERBS:
        wrong(f"unknown command '{verb}'", USAGE)
    if "z" not in opts:
        wrong(f"zone name required for {verb}", USAGE)
    if call.tx.get(Zone, opts.last("z")) is None:
        raise Refusal(f"zoneadm: {opts.last('z')}: No such zone configured")
    if verb in WRITING:
        _need_disk(call, opts.last("z"))
    return VERBS[verb](call, [opts.last("z"), *rest])


def _need_disk(call: Call, name: str) -> None:
    """Refuse when the disk below a zone's root does not answer."""
    dataset = call.tree.dataset_at(call.tx, known(call, name).path)
    if dataset is not None and not is_reachable(call.tx, dataset):
        raise Refusal(f"zoneadm: zone '{name}': {known(call, name).path}: I/O error")


def known(call: Call, name: str) -> Zone:
    """Return a zone that was looked up before."""
    zone = call.tx.get(Zone, name)
    assert zone is not None, f"{name} was looked up before"
    return zone


def _list(call: Call, args: list[str], only: str) -> Reply:
    opts = options(args, "cipvn", "zoneadm list [-cipvn]")
    zones = {
        name: zone
        for name, zone in call.tx.under(Zone).items()
        if "c" in opts or zone.state in ALIVE or ("i" in opts and zone.state != "configured")
    }
    lines = [] if "n" in opts else [GLOBAL]
    lines += [_line(name, zone) for name, zone in sorted(zones.items(), key=_by_number)]
    if only:
        lines = [line for line in lines if line.split(":")[1] == only]
        if not lines:
            raise Refusal(f"zoneadm: {only}: No such zone configured")
    return Reply(0, "".join(_printed(line, opts) for line in lines))


def _by_number(item: tuple[str, Zone]) -> tuple[float, str]:
    return item[1].number or float("inf"), item[0]


def _line(name: str, zone: Zone) -> str:
    number = str(zone.number) if zone.number else "-"
    path = zone.path.replace("\\", "\\\\").replace(":", "\\:")
    return ":".join((number, name, zone.state, path, zone.uuid, zone.props.get("brand", ""), _ip(zone)))


def _ip(zone: Zone) -> str:
    return {"exclusive": "excl"}.get(zone.props.get("ip-type", ""), "shared")


def _printed(line: str, opts: Options) -> str:
    if "p" in opts:
        return line + "\n"
    fields = line.split(":")
    if "v" not in opts:
        return fields[1] + "\n"
    return f"{fields[0]:>4} {fields[1]:<16} {fields[2]:<10} {fields[3]:<30} {fields[5]:<8} {fields[6]}\n"


def _install(call: Call, args: list[str]) -> Reply:
    name, *images = args
    zone = known(call, name)
    if zone.state != "configured":
        raise Refusal(f"zoneadm: zone '{name}': is already {zone.state}.")
    zone = replace(zone, root_dataset=_make_root(call, name, zone))
    missing = [each for each in images if not call.tree.real(call.tx, each).is_file()]
    if missing:
        call.tx.put(name, replace(zone, state="incomplete"))
        return Reply(1, "", f"ERROR: {missing[0]}: image not found\nzoneadm: zone '{name}': install failed\n")
    _mark_incomplete(call, name, zone)
    for folder in FOLDERS:
        call.tree.real(call.tx, f"{zone.path}/{folder}").mkdir(parents=True, exist_ok=True)
    call.tx.put(name, replace(zone, state="installed"))
    return Reply(0, "A ZFS file system has been created for this zone.\n" if zone.root_dataset else "")


def _mark_incomplete(call: Call, name: str, zone: Zone) -> None:
    """Say before the zone's files change that they are in between, as the real tool does."""
    call.tx.put(name, replace(zone, state="incomplete"))
    call.tx.keep()


def _make_root(call: Call, name: str, zone: Zone) -> str:
    """Have an empty folder at the zonepath; return the dataset that was made for it, or an empty name."""
    path = zone.path
    if not call.tree.is_empty(call.tx, path):
        raise Refusal(f"zoneadm: zone '{name}': ERROR: the zonepath {path} is not empty.")
    parent = call.tx.get(Mount, posixpath.dirname(path))
    if call.tx.get(Mount, path) is not None or parent is None:
        call.tree.real(call.tx, path).mkdir(parents=True, exist_ok=True)
        return ""
    dataset = f"{parent.dataset}/{posixpath.basename(path)}"
    if call.tx.get(Dataset, dataset) is not None:
        raise Refusal(f"zoneadm: zone '{name}': cannot create ZFS dataset {dataset}: dataset already exists")
    call.tx.put(dataset, fresh(call, "filesystem", {"sharenfs": "off"}))
    mount(call, dataset)
    return dataset


def _uninstall(call: Call, args: list[str]) -> Reply:
    name = args[0]
    options(args[1:], "F", "uninstall [-F]")
    zone = known(call, name)
    if zone.state in ALIVE:
        raise Refusal(f"zoneadm: zone '{name}': uninstall operation is invalid for {zone.state} zones.")
    if zone.state == "configured":
        raise Refusal(f"zoneadm: zone '{name}': must be incomplete before uninstall.")
    root = zone.root_dataset
    if root and call.tx.get(Dataset, root) is not None:
        if call.tx.under(Dataset, f"{root}/") or call.tx.under(Dataset, f"{root}@"):
            raise Refusal(f"zoneadm: zone '{name}': cannot destroy '{root}': filesystem has children")
        destroy(call, root)
    elif call.tree.real(call.tx, zone.path).is_dir():
        _mark_incomplete(call, name, zone)
        call.tree.empty(call.tree.real(call.tx, zone.path))
    call.tx.put(name, replace(zone, state="configured", root_dataset=""))
    return Reply()


def _boot(call: Call, args: list[str]) -> Reply:
    name = args[0]
    zone = known(call, name)
    if zone.state in ("running", "shutting_down", "down"):
        raise Refusal(f"zoneadm: zone '{name}': zone is already booted")
    if zone.state in ("configured", "incomplete"):
        raise Refusal(f"zoneadm: zone '{name}': must be installed before boot.")
    _check_parts(call, name, zone)
    number = int(call.tx.option("zone_number", "0")) + 1
    call.tx.set_option("zone_number", str(number))
    call.tx.put(name, replace(zone, state="running", booted_at=call.now, number=number))
    smf.start_zone(call, name, zone.path)
    return Reply()


def _ready(call: Call, args: list[str]) -> Reply:
    zone = known(call, args[0])
    if zone.state != "installed":
        raise Refusal(f"zoneadm: zone '{args[0]}': must be installed before ready.")
    _check_parts(call, args[0], zone)
    call.tx.put(args[0], replace(zone, state="ready"))
    return Reply()


def _halt(call: Call, args: list[str]) -> Reply:
    name = args[0]
    zone = known(call, name)
    if zone.state not in ALIVE:
        raise Refusal(f"zoneadm: zone '{name}': must be running before halt.")
    smf.stop_zone(call, name)
    call.tx.put(name, replace(zone, state="installed", number=0, booted_at=0.0))
    return Reply()


def _reboot(call: Call, args: list[str]) -> Reply:
    _halt(call, args)
    return _boot(call, args)


def _mark(call: Call, args: list[str]) -> Reply:
    zone = known(call, args[0])
    if args[1:] not in (["incomplete"], ["installed"]):
        wrong("state to mark must be incomplete or installed", "mark incomplete|installed")
    if zone.state in ALIVE:
        raise Refusal(f"zoneadm: zone '{args[0]}': mark operation is invalid for {zone.state} zones.")
    call.tx.put(args[0], replace(zone, state=args[1]))
    return Reply()


def _verify(call: Call, args: list[str]) -> Reply:
    _check_parts(call, args[0], known(call, args[0]))
    return Reply()


def _check_parts(call: Call, name: str, zone: Zone) -> None:
    """Refuse when a part of the zone is missing or in use; take delegated datasets out of the sled."""
    if zone.state != "configured" and not call.tree.real(call.tx, f"{zone.path}/root").is_dir():
        raise Refusal(f"zoneadm: zone '{name}': no zone root {zone.path}/root: is its dataset mounted?")
    for each in zone.resources:
        CHECKS.get(each["kind"], _fine)(call, name, each)


def _check_nic(call: Call, name: str, net: dict[str, str]) -> None:
    nic = net["physical"]
    if call.tx.get(Link, nic) is None:
        raise Refusal(f"zoneadm: zone '{name}': could not add datalink {nic}: object not found")
    holder = user_of(call, nic)
    if holder not in ("", name):
        raise Refusal(f"zoneadm: zone '{name}': could not add datalink {nic}: it is in use by zone {holder}")


def _check_dataset(call: Call, name: str, resource: dict[str, str]) -> None:
    dataset = resource["name"]
    refusal = f"could not verify zfs dataset {dataset}"
    found = call.tx.get(Dataset, dataset)
    if found is None:
        raise Refusal(f"{refusal}: dataset does not exist\nzoneadm: zone {name} failed to verify")
    if found.type == "filesystem" and mountpoint(call, dataset)[1] != "local":
        raise Refusal(f"{refusal}: mountpoint cannot be inherited\nzoneadm: zone {name} failed to verify")
    if setting(call, dataset, "zoned")[0] == "off":
        if is_mounted(call, dataset):
            unmount(call, dataset)
        call.tx.put(dataset, replace(found, props={**found.props, "zoned": "on"}))


def _check_fs(call: Call, name: str, resource: dict[str, str]) -> None:
    special = resource["special"]
    if resource["type"] == "lofs" and not call.tree.real(call.tx, special).exists():
        raise Refusal(f"zoneadm: zone '{name}': could not mount {special}: No such file or directory")


def _fine(_call: Call, _name: str, _resource: dict[str, str]) -> None:
    """Accept a resource that needs nothing of the sled."""


def user_of(call: Call, link: str) -> str:
    """Return the living zone that has a link, or an empty name."""
    for name, zone in call.tx.under(Zone).items():
        if zone.state in ALIVE and any(each.get("physical") == link for each in zone.resources):
            return name
    return ""


CHECKS = {"net": _check_nic, "dataset": _check_dataset, "fs": _check_fs}
VERBS: dict[str, Command] = {
    "install": _install,
    "uninstall": _uninstall,
    "boot": _boot,
    "halt": _halt,
    "shutdown": _halt,
    "reboot": _reboot,
    "ready": _ready,
    "mark": _mark,
    "verify": _verify,
}
