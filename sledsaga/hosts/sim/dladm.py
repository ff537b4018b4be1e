"""`dladm`: physical links, etherstubs and VNICs.

Links carry no user properties, so nothing on a link says which saga made it: ownership is by name, recorded
in the saga's log before the create. What is made with -t is gone after a reboot.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from sledsaga.hosts.sim.argv import (
    Call,
    Command,
    Options,
    Refusal,
    Reply,
    columns,
    count,
    options,
    parsable,
    wrong,
)
from sledsaga.hosts.sim.things import Interface, Link
from sledsaga.hosts.sim.zoneadm import user_of

USAGE = "dladm <subcommand> <args> ..."
NAME = re.compile(r"[A-Za-z][\w.]{0,29}\d")
MAC = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}")
MTU = range(1280, 9217)
VLANS = range(4095)
DEFAULTS = {"mtu": "1500", "maxbw": "--", "priority": "high", "allowed-ips": "--", "zone": "--"}


def _create_etherstub(call: Call, args: list[str]) -> Reply:
    opts = options(args, "tR:", "create-etherstub [-t] <etherstub-link>")
    count(opts.operands, 1, 1, "create-etherstub [-t] <etherstub-link>")
    _make(call, opts.operands[0], Link("etherstub", temporary="t" in opts), "etherstub creation failed")
    return Reply()


def _create_vnic(call: Call, args: list[str]) -> Reply:
    usage = "create-vnic [-t] -l <link> [-m <mac>] [-v <vid>] [-p <prop>=<value>[,...]] <vnic-link>"
    opts = options(args, "tfR:l:m:v:p:n:r:V:", usage)
    count(opts.operands, 1, 1, usage)
    if "l" not in opts:
        wrong("dladm: a link must be given with -l", usage)
    over, vlan, mac = opts.last("l"), opts.last("v", "0"), opts.last("m", "auto")
    if call.tx.get(Link, over) is None:
        raise Refusal(f"dladm: vnic creation over {over} failed: object not found")
    if not vlan.isdigit() or int(vlan) not in VLANS:
        raise Refusal(f"dladm: invalid VLAN identifier '{vlan}'")
    if mac not in ("auto", "random", "factory") and not MAC.fullmatch(mac):
        raise Refusal(f"dladm: invalid MAC address '{mac}'")
    name = opts.operands[0]
    given = mac if MAC.fullmatch(mac) else _made_up(name)
    link = Link("vnic", over, given.lower(), vlan, "t" in opts, _props(opts))
    _make(call, name, link, f"vnic creation over {over} failed")
    return Reply()


def _made_up(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return "2:8:20:" + ":".join(format(int(digest[at : at + 2], 16), "x") for at in (0, 2, 4))


def _make(call: Call, name: str, link: Link, refusal: str) -> None:
    if not NAME.fullmatch(name):
        raise Refusal(f"dladm: invalid link name '{name}'")
    if call.tx.get(Link, name) is not None:
        raise Refusal(f"dladm: {refusal}: object already exists")
    call.tx.put(name, link)


def _delete_etherstub(call: Call, args: list[str]) -> Reply:
    return _delete(call, args, "etherstub")


def _delete_vnic(call: Call, args: list[str]) -> Reply:
    return _delete(call, args, "vnic")


def _delete(call: Call, args: list[str], kind: str) -> Reply:
    opts = options(args, "tR:", f"delete-{kind} [-t] <link>")
    count(opts.operands, 1, 1, f"delete-{kind} [-t] <link>")
    name = opts.operands[0]
    link = call.tx.get(Link, name)
    if link is None or link.kind != kind:
        why = "object not found" if link is None else "invalid argument"
        raise Refusal(
            f"dladm: {kind} deletion failed: {why}"
            if kind == "vnic"
            else f"dladm: invalid {kind} name '{name}'"
        )
    users = [each for each, other in call.tx.under(Link).items() if other.over == name]
    if users or user_of(call, name) or call.tx.get(Interface, name) is not None:
        raise Refusal(f"dladm: {kind} deletion failed: link busy")
    call.tx.drop(Link, name)
    return Reply()


def _show(call: Call, args: list[str], kinds: tuple[str, ...], fields: tuple[str, ...]) -> Reply:
    usage = "show-link|show-vnic|show-phys|show-etherstub [-p -o <field>,...] [<link>]"
    opts = options(args, "pPdo:l:sS", usage)
    if "p" in opts and "o" not in opts:
        wrong("dladm: -p requires -o", usage)
    chosen = [each.lower() for each in opts.last("o", ",".join(fields)).split(",")]
    chosen = list(fields) if chosen == ["all"] else chosen
    for each in chosen:
        if each not in fields:
            wrong(f"dladm: unknown output field '{each}'", usage)
    links = {name: link for name, link in call.tx.under(Link).items() if link.kind in kinds}
    if "l" in opts:
        links = {name: link for name, link in links.items() if link.over == opts.last("l")}
    if opts.operands:
        links = {opts.operands[0]: _shown(links, opts.operands[0], kinds)}
    rows = [[field_of(name, link, each) for each in chosen] for name, link in links.items()]
    if "p" in opts:
        return Reply(0, parsable(rows))
    return Reply(0, columns([[each.upper() for each in chosen], *rows]))


def _shown(links: dict[str, Link], name: str, kinds: tuple[str, ...]) -> Link:
    if name not in links:
        what = "link" if kinds == KINDS else f"{kinds[0]} name"
        raise Refusal(f"dladm: invalid {what} '{name}': object not found")
    return links[name]


def field_of(name: str, link: Link, field: str) -> str:
    """Return one column of a link as dladm shows it."""
    mtu = link.props.get("mtu", "9000" if link.kind == "etherstub" else DEFAULTS["mtu"])
    return {
        "link": name,
        "over": link.over or "--",
        "class": link.kind,
        "mtu": mtu,
        "state": "unknown" if link.kind == "etherstub" else "up",
        "bridge": "--",
        "macaddress": link.mac,
        "macaddrtype": "fixed",
        "vid": link.vlan,
        "speed": "0" if link.kind == "etherstub" else "100000",
        "media": "Ethernet",
        "duplex": "full",
        "device": name,
    }[field]


KINDS = ("phys", "etherstub", "vnic")


def _show_link(call: Call, args: list[str]) -> Reply:
    return _show(call, args, KINDS, ("link", "class", "mtu", "state", "bridge", "over"))


def _show_vnic(call: Call, args: list[str]) -> Reply:
    return _show(call, args, ("vnic",), ("link", "over", "speed", "macaddress", "macaddrtype", "vid"))


def _show_phys(call: Call, args: list[str]) -> Reply:
    return _show(call, args, ("phys",), ("link", "media", "state", "speed", "duplex", "device"))


def _show_etherstub(call: Call, args: list[str]) -> Reply:
    return _show(call, args, ("etherstub",), ("link",))


def _props(opts: Options) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in ",".join(opts.every("p")).split(",") if "p" in opts else []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Refusal(f"dladm: invalid link property '{pair}'")
        found[key] = _checked(key, value)
    return found


def _checked(key: str, value: str) -> str:
    if key not in DEFAULTS:
        raise Refusal(f"dladm: invalid link property '{key}'")
    if key == "mtu" and (not value.isdigit() or int(value) not in MTU):
        raise Refusal(f"dladm: link property '{key}' cannot be set: invalid value '{value}'")
    return value


def _set_linkprop(call: Call, args: list[str]) -> Reply:
    usage = "set-linkprop [-t] -p <prop>=<value>[,...] <link>"
    opts = options(args, "tR:p:", usage)
    count(opts.operands, 1, 1, usage)
    if "p" not in opts:
        wrong("dladm: a property must be given with -p", usage)
    name = opts.operands[0]
    link = _known(call, name)
    call.tx.put(name, replace(link, props={**link.props, **_props(opts)}))
    return Reply()


def _reset_linkprop(call: Call, args: list[str]) -> Reply:
    opts = options(args, "tR:p:", "reset-linkprop [-t] [-p <prop>,...] <link>")
    count(opts.operands, 1, 1, "reset-linkprop [-t] [-p <prop>,...] <link>")
    name = opts.operands[0]
    link = _known(call, name)
    doomed = opts.last("p", ",".join(DEFAULTS)).split(",")
    for key in doomed:
        if key not in DEFAULTS:
            raise Refusal(f"dladm: invalid link property '{key}'")
    call.tx.put(
        name, replace(link, props={key: value for key, value in link.props.items() if key not in doomed})
    )
    return Reply()


def _show_linkprop(call: Call, args: list[str]) -> Reply:
    usage = "show-linkprop [-c -o <field>,...] [-p <prop>,...] [<link>]"
    opts = options(args, "Pco:p:", usage)
    count(opts.operands, 0, 1, usage)
    if "c" in opts and "o" not in opts:
        wrong("dladm: -c requires -o", usage)
    names = opts.operands or list(call.tx.under(Link))
    fields = [each.lower() for each in opts.last("o", "link,property,perm,value,default,possible").split(",")]
    keys = opts.last("p", ",".join(DEFAULTS)).split(",")
    rows = [_prop_row(name, _known(call, name), key) for name in names for key in keys]
    try:
        lines = [[row[field] for field in fields] for row in rows]
    except KeyError as error:
        wrong(f"dladm: unknown output field {error}", usage)
    return Reply(0, parsable(lines))


def _prop_row(name: str, link: Link, key: str) -> dict[str, str]:
    if key not in DEFAULTS:
        raise Refusal(f"dladm: invalid link property '{key}'")
    usual = field_of(name, replace(link, props={}), "mtu") if key == "mtu" else DEFAULTS[key]
    value = link.props.get(key, usual)
    possible = f"{MTU.start}-{MTU.stop - 1}" if key == "mtu" else "--"
    return {
        "link": name,
        "property": key,
        "perm": "rw",
        "value": value,
        "default": usual,
        "possible": possible,
    }


def _known(call: Call, name: str) -> Link:
    link = call.tx.get(Link, name)
    if link is None:
        raise Refusal(f"dladm: invalid link '{name}': object not found")
    return link


SUBCOMMANDS: dict[str, Command] = {
    "create-etherstub": _create_etherstub,
    "delete-etherstub": _delete_etherstub,
    "show-etherstub": _show_etherstub,
    "create-vnic": _create_vnic,
    "delete-vnic": _delete_vnic,
    "show-vnic": _show_vnic,
    "show-link": _show_link,
    "show-phys": _show_phys,
    "set-linkprop": _set_linkprop,
    "reset-linkprop": _reset_linkprop,
    "show-linkprop": _show_linkprop,
}


def dladm(call: Call, args: list[str]) -> Reply:
    """Run one dladm subcommand."""
    if not args:
        wrong("dladm: missing subcommand", USAGE)
    if args[0] not in SUBCOMMANDS:
        wrong(f"dladm: unknown subcommand '{args[0]}'", USAGE)
    return SUBCOMMANDS[args[0]](call, args[1:])
