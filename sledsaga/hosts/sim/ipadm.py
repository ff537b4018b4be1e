"""`ipadm` and `route`: IP interfaces, address objects (`link/name`) and routes. -t is gone after a reboot."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from sledsaga.hosts.sim import argv
from sledsaga.hosts.sim.argv import Call, Command, Refusal, Reply, count, options, wrong
from sledsaga.hosts.sim.things import Address, Interface, Link, Route

USAGE = "ipadm <subcommand> <args> ..."
OBJECT = re.compile(r"([A-Za-z][\w.]*\d)/([A-Za-z]\w{0,31})")
TYPES = ("static", "addrconf", "dhcp")
PROTOCOLS = ("ipv4", "ipv6", "ip")
ROUTE_USAGE = "route [-n] get|add|delete [-inet|-inet6] destination [-inet|-inet6] gateway [-ifp link]"
LINK_LOCAL = "fe80::8:20ff:fe00:1/10"


def _create_if(call: Call, args: list[str]) -> Reply:
    opts = options(args, "t", "create-if [-t] <interface>")
    count(opts.operands, 1, 1, "create-if [-t] <interface>")
    name = opts.operands[0]
    _need_link(call, name, f"ipadm: cannot create interface {name}")
    if call.tx.get(Interface, name) is not None:
        raise Refusal(f"ipadm: cannot create interface {name}: Interface already exists")
    call.tx.put(name, Interface("t" in opts))
    return Reply()


def _delete_if(call: Call, args: list[str]) -> Reply:
    count(args, 1, 1, "delete-if <interface>")
    name = args[0]
    if call.tx.get(Interface, name) is None:
        raise Refusal(f"ipadm: cannot delete interface {name}: Interface does not exist")
    for each in call.tx.under(Address, f"{name}/"):
        call.tx.drop(Address, each)
    call.tx.drop(Interface, name)
    return Reply()


def _create_addr(call: Call, args: list[str]) -> Reply:
    usage = "create-addr [-t] -T static|addrconf|dhcp [-a <addr>[/<len>]] <link>/<name>"
    opts = options(args, "tdT:a:w:i:p:", usage)
    count(opts.operands, 1, 1, usage)
    name, kind = opts.operands[0], opts.last("T", "static")
    link = _object(name)
    if kind not in TYPES:
        wrong(f"ipadm: invalid address type '{kind}'", usage)
    if (kind == "static") != ("a" in opts):
        wrong("ipadm: a static address, and only that, is given with -a", usage)
    _need_link(call, link, f"ipadm: cannot create address {name}")
    if call.tx.get(Address, name) is not None:
        raise Refusal("ipadm: Could not create address: Address object already exists")
    address = _static(opts.last("a")) if kind == "static" else LINK_LOCAL if kind == "addrconf" else "?"
    if kind == "static" and any(each.address == address for each in call.tx.under(Address).values()):
        raise Refusal("ipadm: Could not create address: Can't assign requested address")
    if call.tx.get(Interface, link) is None:
        call.tx.put(link, Interface("t" in opts))
    call.tx.put(name, Address(kind, address, "t" in opts))
    return Reply()


def _static(text: str) -> str:
    value = text.removeprefix("local=")
    try:
        found = ipaddress.ip_interface(value)
    except ValueError as error:
        raise Refusal(f"ipadm: Invalid address '{value}'") from error
    return value if "/" in value else str(found)


def _delete_addr(call: Call, args: list[str]) -> Reply:
    opts = options(args, "r", "delete-addr [-r] <link>/<name>")
    count(opts.operands, 1, 1, "delete-addr [-r] <link>/<name>")
    name = opts.operands[0]
    _object(name)
    if call.tx.get(Address, name) is None:
        raise Refusal(f"ipadm: could not delete address {name}: Object not found")
    call.tx.drop(Address, name)
    return Reply()


def _show_addr(call: Call, args: list[str]) -> Reply:
    opts = options(args, "dpo:", "show-addr [-p -o <field>,...] [<link>/<name>]")
    count(opts.operands, 0, 1, "show-addr [-p -o <field>,...] [<link>/<name>]")
    found = call.tx.under(Address)
    if opts.operands:
        name = opts.operands[0]
        found = {
            key: each for key, each in found.items() if key == name or key.startswith(f"{name.rstrip('/')}/")
        }
        if not found:
            raise Refusal(f"ipadm: cannot get information about address object {name}: Object not found")
    rows = [
        {
            "addrobj": key,
            "type": each.kind,
            "state": "ok",
            "addr": each.address,
            "current": "U----",
            "persistent": "---",
        }
        for key, each in found.items()
    ]
    return _printed(opts.last("o", "addrobj,type,state,addr"), rows, parsable="p" in opts, told="o" in opts)


def _show_if(call: Call, args: list[str]) -> Reply:
    opts = options(args, "dpo:", "show-if [-p -o <field>,...] [<interface>]")
    count(opts.operands, 0, 1, "show-if [-p -o <field>,...] [<interface>]")
    found = call.tx.under(Interface)
    if opts.operands:
        name = opts.operands[0]
        if name not in found:
            raise Refusal(f"ipadm: cannot get information about interface {name}: Interface does not exist")
        found = {name: found[name]}
    rows = [{"ifname": key, "state": "ok", "current": "bm--------46", "persistent": "---"} for key in found]
    return _printed(opts.last("o", "ifname,state,current"), rows, parsable="p" in opts, told="o" in opts)


def _printed(fields: str, rows: list[dict[str, str]], *, parsable: bool, told: bool) -> Reply:
    if parsable and not told:
        wrong("ipadm: -p requires -o", USAGE)
    chosen = [each.lower() for each in fields.split(",")]
    try:
        lines = [[row[field] for field in chosen] for row in rows]
    except KeyError as error:
        wrong(f"ipadm: unknown output field {error}", USAGE)
    if parsable:
        return Reply(0, argv.parsable(lines))
    return Reply(0, argv.columns([[field.upper() for field in chosen], *lines]))


def _set_ifprop(call: Call, args: list[str]) -> Reply:
    usage = "set-ifprop [-t] -p <prop>=<value> -m ipv4|ipv6|ip <interface>"
    opts = options(args, "tp:m:", usage)
    count(opts.operands, 1, 1, usage)
    key, equals, value = opts.last("p").partition("=")
    if not equals or opts.last("m") not in PROTOCOLS:
        wrong("ipadm: -p prop=value and -m protocol are needed", usage)
    name = opts.operands[0]
    found = call.tx.get(Interface, name)
    if found is None:
        raise Refusal(f"ipadm: set-ifprop: {key}: Interface does not exist")
    call.tx.put(name, replace(found, props={**found.props, f"{opts.last('m')}:{key}": value}))
    return Reply()


def _object(name: str) -> str:
    """Return the link of an address object. Refuses a name that is none."""
    match = OBJECT.fullmatch(name)
    if match is None:
        raise Refusal(f"ipadm: Invalid address object name '{name}'")
    return match[1]


def _need_link(call: Call, name: str, refusal: str) -> None:
    if call.tx.get(Link, name) is None:
        raise Refusal(f"{refusal}: No such device or address")


SUBCOMMANDS: dict[str, Command] = {
    "create-if": _create_if,
    "delete-if": _delete_if,
    "create-addr": _create_addr,
    "delete-addr": _delete_addr,
    "show-addr": _show_addr,
    "show-if": _show_if,
    "set-ifprop": _set_ifprop,
}


def ipadm(call: Call, args: list[str]) -> Reply:
    """Run one ipadm subcommand."""
    if not args:
        wrong("ipadm: missing subcommand", USAGE)
    if args[0] not in SUBCOMMANDS:
        wrong(f"ipadm: unknown subcommand '{args[0]}'", USAGE)
    return SUBCOMMANDS[args[0]](call, args[1:])


def route(call: Call, args: list[str]) -> Reply:
    """Look for, add or delete a route; `get` exits with 3 when there is none."""
    words = [each for each in args if each != "-n"]
    if not words or words[0] not in ("get", "add", "delete"):
        wrong("route: get, add or delete", ROUTE_USAGE)
    key = _route_key(words[1:])
    present = call.tx.get(Route, key) is not None
    if words[0] == "get":
        return (
            Reply(0, f"   route to: {key.split()[1]}\n")
            if present
            else Reply(3, "", f"{key.split()[1]}: not in table\n")
        )
    if words[0] == "add":
        if present:
            raise Refusal(f"add net {key.split()[1]}: gateway {key.split()[2]}: entry exists", 17)
        call.tx.put(key, Route())
        return Reply(0, f"add net {key.split()[1]}: gateway {key.split()[2]}\n")
    if not present:
        raise Refusal(f"delete net {key.split()[1]}: gateway {key.split()[2]}: not in table", 3)
    call.tx.drop(Route, key)
    return Reply()


def _route_key(words: list[str]) -> str:
    """Return `family destination gateway link`. Refuses what does not fit together."""
    family, ends, link = "", list[str](), "-"
    words = list(words)
    while words:
        word = words.pop(0)
        if word in ("-inet", "-inet6"):
            if len(words) > 0 and words[0] in ("-inet", "-inet6"):
                wrong("route: -inet and -inet6 exclude each other", ROUTE_USAGE)
            family = word
        elif word == "-ifp" and words:
            link = words.pop(0)
        elif word.startswith("-") or not _fits(word, family):
            wrong(f"route: bad address or option: {word}", ROUTE_USAGE)
        else:
            ends.append(word)
    count(ends, 2, 2, ROUTE_USAGE)
    return f"{family or '-inet'} {ends[0]} {ends[1]} {link}"


def _fits(word: str, family: str) -> bool:
    if word == "default":
        return True
    try:
        version = ipaddress.ip_interface(word).version
    except ValueError:
        return False
    return version == {"-inet6": 6}.get(family, 4)
