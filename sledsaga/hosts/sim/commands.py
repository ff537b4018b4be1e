"""Which commands the sled has: argv[0] to interpreter, `pfexec` before any, and `zlogin` into zones."""

from __future__ import annotations

import posixpath

from sledsaga.hosts.sim import smf
from sledsaga.hosts.sim.argv import Call, Command, Refusal, Reply, options, wrong
from sledsaga.hosts.sim.chrony import chronyc
from sledsaga.hosts.sim.disks import diskinfo, fstyp
from sledsaga.hosts.sim.dladm import dladm
from sledsaga.hosts.sim.ipadm import ipadm, route
from sledsaga.hosts.sim.svccfg import svccfg
from sledsaga.hosts.sim.things import Zone
from sledsaga.hosts.sim.zfs import zfs
from sledsaga.hosts.sim.zoneadm import zoneadm
from sledsaga.hosts.sim.zonecfg import zonecfg
from sledsaga.hosts.sim.zpool import zpool

ZLOGIN_USAGE = "zlogin [-CEQnS] [-l user] zonename [utility [argument ...]]"


def interpret(call: Call, argv: tuple[str, ...]) -> Reply:
    """Run a command line. Raises Refusal when nothing was changed; a tool that the sled lacks gives 127."""
    words = list(argv)
    if words[:1] == ["pfexec"]:
        words = words[1:]
    name = posixpath.basename(words[0]) if words else ""
    if name not in COMMANDS:
        return Reply(127, "", f"{name or 'pfexec'}: command not found\n")
    return COMMANDS[name](call, words[1:])


def _zlogin(call: Call, args: list[str]) -> Reply:
    opts = options(args, "CEQnSl:e:", ZLOGIN_USAGE)
    if not opts.operands:
        wrong("zlogin: a zone is needed", ZLOGIN_USAGE)
    zone, *words = opts.operands
    found = call.tx.get(Zone, zone)
    if found is None:
        raise Refusal(f"zlogin: zone '{zone}' unknown")
    if found.state != "running":
        raise Refusal(f"zlogin: login allowed only to running zones ({zone} is '{found.state}').")
    if words[:1] == ["pfexec"]:
        words = words[1:]
    if not words or posixpath.basename(words[0]) not in INSIDE:
        raise Refusal(
            f"zlogin: {' '.join(words[:1]) or 'this sled has no interactive login'}: command not found", 127
        )
    return _inside(call, zone, found, [posixpath.basename(words[0]), *words[1:]])


def _inside(call: Call, zone: str, found: Zone, words: list[str]) -> Reply:
    tool, *args = words
    if tool in ("true", "echo"):
        return Reply(0, " ".join(args) + "\n" if tool == "echo" else "")
    if tool == "dladm":
        if not args or not args[0].startswith("show-"):
            raise Refusal(f"dladm: {' '.join(args[:1])}: insufficient privileges in a zone")
        mine = {each["physical"] for each in found.resources if each["kind"] == "net"}
        reply = dladm(call, args)
        lines = [line for line in reply.out.splitlines() if line.split(":")[0] in mine]
        return Reply(reply.code, "".join(f"{line}\n" for line in lines), reply.err)
    return IN_A_ZONE[tool](call, args, zone)


def _true(_call: Call, _args: list[str]) -> Reply:
    return Reply()


IN_A_ZONE = {
    "chronyc": chronyc,
    "svcs": smf.svcs,
    "svcadm": smf.svcadm,
    "svcprop": smf.svcprop,
    "svccfg": svccfg,
}
INSIDE = ("true", "echo", "dladm", *IN_A_ZONE)
COMMANDS: dict[str, Command] = {
    "diskinfo": diskinfo,
    "fstyp": fstyp,
    "zpool": zpool,
    "zfs": zfs,
    "zonecfg": zonecfg,
    "zoneadm": zoneadm,
    "zlogin": _zlogin,
    "svcs": smf.svcs,
    "svcadm": smf.svcadm,
    "svcprop": smf.svcprop,
    "svccfg": svccfg,
    "dladm": dladm,
    "ipadm": ipadm,
    "route": route,
    "true": _true,
}
