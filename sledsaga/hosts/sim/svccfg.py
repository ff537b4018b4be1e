"""`svccfg [-z zone] [-s FMRI] command ...`: the properties of services. A change counts after `refresh`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from sledsaga.hosts import files
from sledsaga.hosts.sim.argv import Call, Refusal, Reply, options, wrong
from sledsaga.hosts.sim.smf import Groups, described, full_name, instances, matching
from sledsaga.hosts.sim.things import Service

USAGE = "svccfg [-v] [-z zone] [-s FMRI] command [args ...]\n\tsvccfg [-z zone] import file"
PROPERTY = re.compile(r"([\w.-]+)/([\w.-]+)")
TYPES = (
    *("astring", "boolean", "count", "fmri", "host", "hostname", "integer", "net_address", "net_address_v4"),
    *("net_address_v6", "opaque", "time", "uri", "ustring"),
)
Change = Callable[[Groups, list[str]], Groups]


def svccfg(call: Call, args: list[str], zone: str = "global") -> Reply:
    """Change or list the properties of one service, or import a manifest."""
    opts = options(args, "vz:s:f:", USAGE)
    words = _words(" ".join(opts.operands))
    if not words:
        wrong("svccfg: this sled has no interactive mode: say a command", USAGE)
    zone, verb, rest = opts.last("z", zone), words[0], words[1:]
    if verb == "import":
        return _import(call, zone, opts.operands[1:], selected="s" in opts)
    if "s" not in opts:
        raise Refusal(f"svccfg: {verb} needs an entity: say -s FMRI")
    found = instances(call, "svccfg", zone)
    fmri = matching(found, "svccfg", opts.last("s"))[0]
    if verb == "listprop":
        return Reply(0, _listed(found[fmri].groups, rest))
    call.tx.put(f"{zone} {fmri}", _edited(found[fmri], verb, rest))
    return Reply()


def _edited(service: Service, verb: str, rest: list[str]) -> Service:
    if verb == "refresh":
        return replace(service, running=service.groups)
    if verb not in CHANGES:
        wrong(f"svccfg: unknown command '{verb}'", USAGE)
    return replace(service, groups=CHANGES[verb](service.groups, rest))


def _import(call: Call, zone: str, names: list[str], *, selected: bool) -> Reply:
    if selected or len(names) != 1:
        wrong("svccfg: import takes one file and no -s", USAGE)
    instances(call, "svccfg", zone)
    data = files.read(call.tree.real(call.tx, names[0]))
    if data is None:
        raise Refusal(f'svccfg: couldn\'t open "{names[0]}": No such file or directory')
    found = described(data)
    if not found:
        raise Refusal(f'svccfg: couldn\'t parse document "{names[0]}"')
    for fmri, service in found.items():
        call.tx.put(f"{zone} {full_name(fmri)}", service)
    return Reply()


def _words(text: str) -> list[str]:
    """Split at blanks outside double quotes; quotes stay until a value is read."""
    return re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+', text)


def _plain(word: str) -> str:
    """Take the quotes and backslashes out of a word."""
    return re.sub(r'"((?:[^"\\]|\\.)*)"', lambda match: re.sub(r"\\(.)", r"\1", match[1]), word)


def _assignment(rest: list[str]) -> tuple[str, str, str, list[str]]:
    """Read `G/P = [TYPE:] VALUE` in any spacing: (group, property, type or empty, values)."""
    left, equals, right = " ".join(rest).partition("=")
    group, name = _property(left.strip())
    words = _words(right)
    if not equals or not words:
        wrong("svccfg: setprop takes pg/name = [type:] value", USAGE)
    kind = words.pop(0)[:-1] if words[0].endswith(":") and words[0][:-1] in TYPES else ""
    many = bool(words) and words[0].startswith("(") and words[-1].endswith(")")
    if many:
        words = _words(" ".join(words)[1:-1])
    elif len(words) != 1:
        wrong(f"svccfg: setprop takes one value, not {len(words)}", USAGE)
    return group, name, kind, [_plain(word) for word in words]


def _property(text: str) -> tuple[str, str]:
    match = PROPERTY.fullmatch(text)
    if match is None:
        wrong(f"svccfg: '{text}' is not of the form pg/name", USAGE)
    return match[1], match[2]


def _setprop(groups: Groups, rest: list[str]) -> Groups:
    group, name, kind, values = _assignment(rest)
    if group not in groups:
        raise Refusal(f'svccfg: No such property group "{group}".')
    present = groups[group].get(name)
    if present is None and not kind:
        raise Refusal("svccfg: Type required for new properties.")
    return _with(groups, group, {**groups[group], name: [kind or (present or [""])[0], *values]})


def _addpropvalue(groups: Groups, rest: list[str]) -> Groups:
    typed = bool(rest[2:])
    if not rest[1:] or rest[3:] or (typed and not rest[1].endswith(":")):
        wrong("svccfg: addpropvalue takes pg/name [type:] value", USAGE)
    group, name = _property(rest[0])
    if group not in groups:
        raise Refusal(f'svccfg: No such property group "{group}".')
    kind = rest[1][:-1] if typed else ""
    present = groups[group].get(name, [kind])
    if not present[0]:
        raise Refusal("svccfg: Type required for new properties.")
    value = _plain(rest[-1])
    values = present[1:] if value in present[1:] else [*present[1:], value]
    return _with(groups, group, {**groups[group], name: [present[0], *values]})


def _delpropvalue(groups: Groups, rest: list[str]) -> Groups:
    if not rest[1:] or rest[2:]:
        wrong("svccfg: delpropvalue takes pg/name value", USAGE)
    group, name = _property(rest[0])
    present = groups.get(group, {}).get(name)
    if present is None:
        raise Refusal(f'svccfg: No such property "{rest[0]}".')
    kept = [present[0], *(value for value in present[1:] if value != _plain(rest[1]))]
    return _with(groups, group, {**groups[group], name: kept})


def _delprop(groups: Groups, rest: list[str]) -> Groups:
    group, name = _property(rest[0] if rest else "")
    if name not in groups.get(group, {}):
        raise Refusal(f'svccfg: No such property "{rest[0]}".')
    return _with(groups, group, {key: value for key, value in groups[group].items() if key != name})


def _addpg(groups: Groups, rest: list[str]) -> Groups:
    if not rest[1:] or rest[3:]:
        wrong("svccfg: addpg takes a name, a type and flags", USAGE)
    if rest[0] in groups:
        raise Refusal(f'svccfg: Property group "{rest[0]}" already exists.')
    return _with(groups, rest[0], {})


def _delpg(groups: Groups, rest: list[str]) -> Groups:
    if len(rest) != 1:
        wrong("svccfg: delpg takes a name", USAGE)
    if rest[0] not in groups:
        raise Refusal(f'svccfg: No such property group "{rest[0]}".')
    return {name: props for name, props in groups.items() if name != rest[0]}


def _with(groups: Groups, group: str, props: dict[str, list[str]]) -> Groups:
    return {**groups, group: props}


def _listed(groups: Groups, rest: list[str]) -> str:
    rows = {f"{group}/{name}": values for group, props in groups.items() for name, values in props.items()}
    wanted = {
        key: values
        for key, values in rows.items()
        if not rest or key == rest[0] or key.startswith(f"{rest[0]}/")
    }
    return "".join(f"{key} {values[0]} {' '.join(values[1:])}\n" for key, values in sorted(wanted.items()))


CHANGES: dict[str, Change] = {
    "setprop": _setprop,
    "addpropvalue": _addpropvalue,
    "delpropvalue": _delpropvalue,
    "delprop": _delprop,
    "addpg": _addpg,
    "delpg": _delpg,
}
