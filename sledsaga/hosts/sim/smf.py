"""`svcs`, `svcadm`, `svcprop`: services of the global zone (`global`) and of running zones.

A zone that boots has the usual milestones and what its profile (`root/var/svc/profile/site.xml`) names; until
`boot_delay_s` (an option of the sled) is over they are `offline`. A service put into maintenance stays there.
"""

from __future__ import annotations

import fnmatch
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from sledsaga.hosts import files
from sledsaga.hosts.sim.argv import Call, Command, Options, Refusal, Reply, count, options, wrong
from sledsaga.hosts.sim.things import Service, Zone

SVCS_USAGE = "svcs -H [-av] [-o col[,...]] [-z zone] [FMRI | pattern] ..."
SVCADM_USAGE = "svcadm [-v] [-z zone] enable|disable|restart|refresh|clear|mark [args ...] FMRI ..."
SVCPROP_USAGE = "svcprop [-cq] [-z zone] [-p pg/prop] FMRI"
USUAL = (
    "milestone/single-user",
    "milestone/multi-user",
    "milestone/multi-user-server",
    "system/filesystem/local",
    "network/physical",
)
GLOBAL_ONLY = ("system/fmd", "system/zones")
COLUMNS = ("state", "nstate", "stime", "fmri", "svc", "inst", "scope", "zone")
Groups = dict[str, dict[str, list[str]]]


def svcs(call: Call, args: list[str], zone: str = "global") -> Reply:
    """Print one row a service instance."""
    opts = options(args, "aHvpo:z:s:S:", SVCS_USAGE)
    zone = opts.last("z", zone)
    if "H" not in opts:
        wrong("this sled prints without a header only: say -H", SVCS_USAGE)
    columns = [each.lower() for each in opts.last("o", "state,stime,fmri").split(",")]
    for each in columns:
        if each not in COLUMNS:
            wrong(f'Unknown column "{each}".', SVCS_USAGE)
    found = instances(call, "svcs", zone)
    if opts.operands:
        found = {fmri: found[fmri] for pattern in opts.operands for fmri in matching(found, "svcs", pattern)}
    elif "a" not in opts:
        found = {fmri: each for fmri, each in found.items() if each.state != "disabled"}
    rows = [_row(fmri, _now(call, zone, each), zone) for fmri, each in sorted(found.items())]
    return Reply(0, "".join(" ".join(row[column] for column in columns) + "\n" for row in rows))


def svcadm(call: Call, args: list[str], zone: str = "global") -> Reply:
    """Change the state of services."""
    opts = options(args, "vz:S:Z", SVCADM_USAGE)
    if not opts.operands:
        wrong("missing subcommand", SVCADM_USAGE)
    verb, rest = opts.operands[0], opts.operands[1:]
    if verb not in CHANGES:
        wrong(f"unknown subcommand '{verb}'", SVCADM_USAGE)
    zone = opts.last("z", zone)
    flags = options(rest, {"enable": "rstS:c:", "disable": "stc:", "mark": "It"}.get(verb, "r"), SVCADM_USAGE)
    target, operands = "", flags.operands
    if verb == "mark":
        count(operands, 2, None, SVCADM_USAGE)
        target, operands = operands[0], operands[1:]
    count(operands, 1, None, SVCADM_USAGE)
    found = instances(call, "svcadm", zone)
    for pattern in operands:
        for fmri in matching(found, "svcadm", pattern):
            service = _changed(verb, fmri, found[fmri], flags, target=target, many="*" in pattern)
            call.tx.put(f"{zone} {fmri}", service)
    return Reply()


def svcprop(call: Call, args: list[str], zone: str = "global") -> Reply:
    """Print the properties of one service, as its running snapshot has them (-c: as they are set)."""
    opts = options(args, "cqtfz:p:", SVCPROP_USAGE)
    count(opts.operands, 1, 1, SVCPROP_USAGE)
    found = instances(call, "svcprop", opts.last("z", zone))
    service = found[matching(found, "svcprop", opts.operands[0])[0]]
    groups = service.groups if "c" in opts else service.running
    rows = {f"{group}/{key}": values for group, props in groups.items() for key, values in props.items()}
    if "p" in opts:
        wanted = opts.last("p")
        if wanted not in rows:
            raise Refusal(
                ""
                if "q" in opts
                else f"svcprop: Couldn't find property '{wanted}' for instance '{opts.operands[0]}'."
            )
        return Reply(0, " ".join(map(_escaped, rows[wanted][1:])) + "\n")
    return Reply(
        0, "".join(f"{key} {values[0]} {' '.join(values[1:])}\n" for key, values in sorted(rows.items()))
    )


def _escaped(value: str) -> str:
    """Print a value as svcprop does: what a shell would read is escaped, an empty text is shown."""
    return re.sub(r"([;&()|^<>\s\\\"'`])", r"\\\1", value) or '""'


def full_name(fmri: str) -> str:
    """Return an FMRI in full: `svc:/a/b:default` for `a/b`."""
    name = fmri.removeprefix("svc:").lstrip("/")
    service, _, instance = name.partition(":")
    return f"svc:/{service}:{instance or 'default'}"


def instances(call: Call, tool: str, zone: str) -> dict[str, Service]:
    """Return the service instances of a zone. Refuses one that does not run."""
    if zone != "global":
        found = call.tx.get(Zone, zone)
        if found is None or found.state != "running":
            raise Refusal(f"{tool}: invalid zone '{zone}'")
    return {key.partition(" ")[2]: each for key, each in call.tx.under(Service, f"{zone} ").items()}


def matching(found: dict[str, Service], tool: str, pattern: str) -> list[str]:
    """Return the FMRIs that a pattern, an abbreviation or an FMRI names. Refuses when none does."""
    if any(each in pattern for each in "*?["):
        hits = [
            fmri
            for fmri in found
            if fnmatch.fnmatch(fmri, pattern) or fnmatch.fnmatch(fmri, f"svc:/{pattern}")
        ]
    elif full_name(pattern) in found:
        hits = [full_name(pattern)]
    else:
        end = re.compile(rf"/{re.escape(pattern.removeprefix('svc:/'))}(:[^:/]+)?$")
        hits = [fmri for fmri in found if end.search(fmri)]
    if not hits:
        raise Refusal(f"{tool}: Pattern '{pattern}' doesn't match any instances")
    return hits


def start_global(call: Call) -> None:
    """Bring up the services of the global zone, as a boot does."""
    for name in (*USUAL, *GLOBAL_ONLY):
        call.tx.put(f"global {full_name(name)}", Service("online"))


def start_zone(call: Call, zone: str, path: str) -> None:
    """Bring up the services of a zone that boots: the usual ones, and those of its profile."""
    stop_zone(call, zone)
    for name in USUAL:
        call.tx.put(f"{zone} {full_name(name)}", Service("online"))
    profile = files.read(call.tree.real(call.tx, f"{path}/root/var/svc/profile/site.xml"))
    for fmri, service in described(profile or b"<service_bundle/>").items():
        call.tx.put(f"{zone} {fmri}", service)


def stop_zone(call: Call, zone: str) -> None:
    """Forget the services of a zone that halts."""
    for key in call.tx.under(Service, f"{zone} "):
        call.tx.drop(Service, key)


def described(document: bytes) -> dict[str, Service]:
    """Return the services that a profile or manifest describes; nothing of one that is no XML."""
    try:
        root = ET.fromstring(document)  # noqa: S314 - the sled's own file; expat refuses to blow entities up
    except ET.ParseError:
        return {}
    found: dict[str, Service] = {}
    for service in root.iter("service"):
        shared = _groups(service)
        every = [(each.get("name", "default"), each) for each in service.findall("instance")]
        every += [("default", each) for each in service.findall("create_default_instance")]
        for name, instance in every:
            groups = _merged(shared, _groups(instance))
            state = "disabled" if instance.get("enabled") == "false" else "online"
            found[f"svc:/{service.get('name', '')}:{name}"] = Service(state, groups, groups)
    return found


def _groups(element: ET.Element) -> Groups:
    return {
        group.get("name", ""): {
            each.get("name", ""): [each.get("type", "astring"), *_values(each)]
            for each in (*group.findall("propval"), *group.findall("property"))
        }
        for group in element.findall("property_group")
    }


def _values(element: ET.Element) -> list[str]:
    if element.tag == "propval":
        return [element.get("value", "")]
    return [node.get("value", "") for node in element.iter("value_node")]


def _merged(shared: Groups, own: Groups) -> Groups:
    return {name: {**shared.get(name, {}), **own.get(name, {})} for name in (*shared, *own)}


def _now(call: Call, zone: str, service: Service) -> str:
    """Return the state of a service at this moment: a zone that still boots has them offline."""
    found = call.tx.get(Zone, zone)
    delay = float(call.tx.option("boot_delay_s", "0"))
    booting = found is not None and call.now < found.booted_at + delay
    return "offline" if booting and service.state == "online" else service.state


def _row(fmri: str, state: str, zone: str) -> dict[str, str]:
    name, _, instance = fmri.removeprefix("svc:/").partition(":")
    rest = {"nstate": "-", "stime": "-", "scope": "-", "zone": zone}
    return {"state": state, "fmri": fmri, "svc": name, "inst": instance, **rest}


def _changed(verb: str, fmri: str, service: Service, flags: Options, *, target: str, many: bool) -> Service:
    state = service.state
    if verb == "clear":
        if state not in ("maintenance", "degraded"):
            if many:
                return service
            raise Refusal(f'svcadm: Instance "{fmri}" is not in a maintenance or degraded state.')
        return replace(service, state=service.usual or "online")
    if verb == "refresh":
        return replace(service, running=service.groups)
    if verb == "restart":
        return service
    if verb == "mark":
        return replace(service, state=target, usual=service.usual or state)
    return _switched(verb, fmri, service, flags)


def _switched(verb: str, fmri: str, service: Service, flags: Options) -> Service:
    """Enable or disable; -t lasts until the next boot, -s is told of a service in maintenance."""
    wanted = {"enable": "online", "disable": "disabled"}[verb]
    if service.state == "maintenance" and verb == "enable":
        if "s" in flags:
            raise Refusal(f'svcadm: Instance "{fmri}" is in maintenance state.', 3)
        return service
    if "t" in flags:
        return replace(service, state=wanted, temporary=True, usual=service.usual or service.state)
    return replace(service, state=wanted, temporary=False, usual="")


CHANGES = ("enable", "disable", "restart", "refresh", "clear", "mark")
SMF: dict[str, Command] = {"svcs": svcs, "svcadm": svcadm, "svcprop": svcprop}
