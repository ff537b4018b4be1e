"""`zonecfg -z NAME 'command ; command ...'`, or `-f FILE` (`-` is stdin): the configuration of a zone.

A script is all or nothing: it is committed at its end, and verified before. What an installed zone may not
have changed under it (its zonepath, its brand) is refused.

Differences from the real tool: it goes on after a command that it refused, and saves at the end what
verifies; there a zone shares its IP stack unless told otherwise. As there, `delete -F` forgets a zone that is
installed, and its root stays behind.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace

from sledsaga.hosts import files
from sledsaga.hosts.sim.argv import Call, Options, Refusal, Reply, options, wrong
from sledsaga.hosts.sim.things import Zone
from sledsaga.hosts.sim.zfs_mount import ALIVE
from sledsaga.hosts.sim.zonewords import Word, split, value

USAGE = "zonecfg -z zonename command ...\n\tzonecfg -z zonename -f command-file"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
GLOBALS = (
    *("zonename", "zonepath", "brand", "autoboot", "bootargs", "pool", "limitpriv", "ip-type", "hostid"),
    *("scheduling-class", "fs-allowed", "cpu-shares", "max-lwps", "max-processes", "max-shm-memory"),
    *("max-shm-ids", "max-msg-ids", "max-sem-ids"),
)
RESOURCES: dict[str, tuple[str, ...]] = {
    "dataset": ("name",),
    "fs": ("dir", "special", "type"),
    "net": ("physical",),
    "device": ("match",),
    "attr": ("name", "type", "value"),
    "admin": ("user", "auths"),
    "security-flags": (),
    "dedicated-cpu": ("ncpus",),
    "capped-cpu": ("ncpus",),
    "capped-memory": (),
    "rctl": ("name", "value"),
}
"""Each kind of resource and the properties that it must have; by the first of them it is known."""
OPTIONAL: dict[str, tuple[str, ...]] = {
    "fs": ("raw", "options"),
    "net": ("address", "allowed-address", "defrouter", "property"),
    "security-flags": ("default", "lower", "upper"),
    "dedicated-cpu": ("importance",),
    "capped-memory": ("physical", "swap", "locked"),
}
LISTED = {("fs", "options"), ("rctl", "value"), ("net", "property")}
"""Properties that are added one by one, or set as a list."""
NAMES = {*GLOBALS, "priv", "limit", "action"}.union(*RESOURCES.values(), *OPTIONAL.values())
CHOICES = {"autoboot": ("true", "false"), "ip-type": ("shared", "exclusive")}
ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
ATTRIBUTE_TYPES = {"string": r".{1,255}", "int": r"[+-]?\d+", "uint": r"\+?\d+", "boolean": r"true|false"}
FIXED = ("zonepath", "brand")


@dataclass(slots=True)
class Editor:
    """A script's working copy of one zone; nothing is written until the script ends."""

    name: str
    zone: Zone | None
    scope: dict[str, str] | None = None
    deleted: bool = False
    out: str = ""
    changed: bool = False

    def known(self) -> Zone:
        """Return the zone. Refuses when it was neither there nor created."""
        if self.zone is None:
            raise Refusal(f"{self.name}: No such zone configured")
        return self.zone

    def installed(self) -> bool:
        """Say whether the zone is past the state `configured`."""
        return self.zone is not None and self.zone.state != "configured"


def zonecfg(call: Call, args: list[str]) -> Reply:
    """Run a script of zonecfg commands."""
    opts = options(args, "z:f:r:", USAGE)
    name = opts.last("z")
    if "z" not in opts:
        wrong("zonecfg: this sled has no interactive mode: say -z", USAGE)
    if not NAME.fullmatch(name) or name == "global":
        raise Refusal(f"{name}: bad zone name")
    script = _from_file(call, opts.last("f")) if "f" in opts else " ".join(opts.operands)
    editor = Editor(name, call.tx.get(Zone, name))
    for words in split(script):
        _run(editor, words)
    if editor.scope is not None:
        raise Refusal(f"zonecfg: unfinished '{editor.scope['kind']}' scope: end is missing")
    if editor.deleted and editor.zone is None:
        call.tx.drop(Zone, name)
    elif editor.changed:
        _verify(editor)
        call.tx.put(name, editor.known())
    return Reply(0, editor.out)


def _from_file(call: Call, path: str) -> str:
    data = call.stdin if path == "-" else files.read(call.tree.real(call.tx, path))
    if data is None:
        raise Refusal(f"zonecfg: could not open file '{path}': No such file or directory")
    return data.decode("utf-8", "replace")


def _run(editor: Editor, words: list[Word]) -> None:
    verb, rest = words[0], words[1:]
    if not verb.is_bare or verb.text not in VERBS:
        raise Refusal(f"zonecfg: unknown command '{verb.text}'", 2)
    VERBS[verb.text](editor, rest)


def _flags(rest: list[Word], letters: str, usage: str) -> Options:
    opts = options([word.text for word in rest], letters, usage)
    if opts.operands:
        raise Refusal(f"usage: {usage}", 2)
    return opts


def _create(editor: Editor, rest: list[Word]) -> None:
    opts = _flags(rest, "Fba:t:", "create [-F] [-b | -a path | -t template]")
    if editor.zone is not None and "F" not in opts:
        raise Refusal(f"Zone {editor.name} already exists; to overwrite it use the -F flag.")
    if editor.installed():
        raise Refusal(f"Zone {editor.name} already installed; create not allowed.")
    usual = {"autoboot": "false", "ip-type": "exclusive"}
    editor.zone = Zone(
        str(uuid.uuid4()), "configured", usual if "b" in opts else {**usual, "brand": "lipkg"}, []
    )
    editor.changed = True


def _delete(editor: Editor, rest: list[Word]) -> None:
    is_forced = "F" in _flags(rest, "F", "delete [-F]")
    state = editor.known().state
    if state in ALIVE:
        raise Refusal(f"{editor.name}: Zone state is invalid for the requested operation")
    if state != "configured" and not is_forced:
        raise Refusal(
            f"Zone {editor.name} not in configured state; delete not allowed.  Use -F to force delete."
        )
    editor.zone, editor.deleted = None, True


def _set(editor: Editor, rest: list[Word]) -> None:
    if len(rest) < len(("name", "=")) or not rest[0].is_bare or rest[1] != Word("=", "mark"):
        raise Refusal("usage: set <property-name>=<property-value>", 2)
    key, text = rest[0].text, value(rest[2:], NAMES)
    zone = editor.known()
    if editor.scope is not None:
        kind = editor.scope["kind"]
        _refuse_property(kind, key)
        if text[:1] in "[(" and not rest[2].kind == "quoted" and text and (kind, key) not in LISTED:
            raise Refusal("A simple value was expected here.", 2)
        editor.scope[key] = text
        return
    if key not in GLOBALS:
        raise Refusal(f"zonecfg: unknown property '{key}'", 2)
    if key in CHOICES and text not in CHOICES[key]:
        raise Refusal(f"{key} value must be '{CHOICES[key][0]}' or '{CHOICES[key][1]}'.")
    if key in FIXED and editor.installed() and zone.props.get(key) != text:
        raise Refusal(f"Zone {editor.name} already installed; set {key} not allowed.")
    if key == "zonepath" and (not text.startswith("/") or not text.strip("/")):
        raise Refusal(f"{text} is not an absolute path.")
    editor.zone = replace(zone, props={**zone.props, key: text})
    editor.changed = True


def _clear(editor: Editor, rest: list[Word]) -> None:
    zone = editor.known()
    editor.zone = replace(
        zone,
        props={key: value for key, value in zone.props.items() if key not in [word.text for word in rest]},
    )
    editor.changed = True


def _add(editor: Editor, rest: list[Word]) -> None:
    editor.known()
    if editor.scope is not None:
        _add_value(editor.scope, rest)
        return
    if len(rest) != 1 or not rest[0].is_bare or rest[0].text not in RESOURCES:
        raise Refusal(f"zonecfg: unknown resource type '{' '.join(word.text for word in rest)}'", 2)
    editor.scope = {"kind": rest[0].text}


def _add_value(scope: dict[str, str], rest: list[Word]) -> None:
    """Read `add options ro` and `add property (name=N,value=V)` within a resource."""
    if not rest[1:] or not rest[0].is_bare or (scope["kind"], rest[0].text) not in LISTED:
        raise Refusal("usage: add <property-name> <property-value>", 2)
    key, text = rest[0].text, value(rest[1:], NAMES)
    match = re.fullmatch(r"\(name=(.+?),\s*value=(.*)\)", text)
    if match and key == "property":
        key, text = f"{key}:{match[1]}", match[2].strip('"')
    scope[key] = f"{scope[key]},{text}" if key in scope else text


def _refuse_property(kind: str, key: str) -> None:
    if key not in (*RESOURCES[kind], *OPTIONAL.get(kind, ())):
        raise Refusal(f"{key}: No such property type", 2)


def _end(editor: Editor, rest: list[Word]) -> None:
    if editor.scope is None or rest:
        raise Refusal("zonecfg: end command is only valid in a resource scope", 2)
    zone, scope = editor.known(), editor.scope
    missing = [key for key in RESOURCES[scope["kind"]] if not scope.get(key)]
    if missing:
        raise Refusal(f"zonecfg: {missing[0]} not specified in {scope['kind']} resource")
    _refuse_content(scope)
    if any(_named(each) == _named(scope) for each in zone.resources):
        raise Refusal(f"A {scope['kind']} resource with that name already exists.")
    editor.zone = replace(zone, resources=[*zone.resources, scope])
    editor.scope, editor.changed = None, True


def _refuse_content(scope: dict[str, str]) -> None:
    if scope["kind"] == "fs" and not scope["dir"].startswith("/"):
        raise Refusal(f"dir {scope['dir']} is not an absolute path.")
    if scope["kind"] == "attr":
        if not ATTRIBUTE.fullmatch(scope["name"]):
            raise Refusal(
                f"Invalid attr name {scope['name']}: can only contain letters, digits, '-' and '.'."
            )
        form = ATTRIBUTE_TYPES.get(scope["type"])
        if form is None or not re.fullmatch(form, scope["value"], re.DOTALL):
            raise Refusal(f"invalid attr value for type={scope['type']}")


def _named(scope: dict[str, str]) -> tuple[str | None, ...]:
    keys = (
        ("physical", "address", "allowed-address") if scope["kind"] == "net" else RESOURCES[scope["kind"]][:1]
    )
    return (scope["kind"], *(scope.get(key) for key in keys))


def _cancel(editor: Editor, rest: list[Word]) -> None:
    if editor.scope is None or rest:
        raise Refusal("The cancel command only makes sense in the resource scope.")
    editor.scope = None


def _remove(editor: Editor, rest: list[Word]) -> None:
    zone = editor.known()
    words = [word for word in rest if word.text != "-F"]
    kind = words[0].text if words else ""
    wanted = {
        name.text: text.text
        for name, mark, text in zip(words[1::3], words[2::3], words[3::3], strict=False)
        if mark == Word("=", "mark")
    }
    doomed = [
        each
        for each in zone.resources
        if each["kind"] == kind and all(each.get(key) == value for key, value in wanted.items())
    ]
    if not doomed:
        raise Refusal(f"zonecfg: No such {kind} resource.")
    editor.zone = replace(zone, resources=[each for each in zone.resources if each not in doomed])
    editor.changed = True


def _info(editor: Editor, _rest: list[Word]) -> None:
    zone = editor.known()
    editor.out += f"zonename: {editor.name}\n"
    editor.out += "".join(f"{key}: {value}\n" for key, value in zone.props.items())
    for each in zone.resources:
        editor.out += f"{each['kind']}:\n"
        editor.out += "".join(f"\t{key}: {value}\n" for key, value in each.items() if key != "kind")


def _export(editor: Editor, _rest: list[Word]) -> None:
    zone = editor.known()
    editor.out += "create -b\n"
    editor.out += "".join(f"set {key}={_quoted(value)}\n" for key, value in zone.props.items())
    for each in zone.resources:
        editor.out += f"add {each['kind']}\n"
        editor.out += "".join(_exported(key, text) for key, text in each.items() if key != "kind")
        editor.out += "end\n"


def _verify(editor: Editor, _rest: list[Word] | None = None) -> None:
    zone = editor.known()
    for key in ("zonepath", "brand"):
        if not zone.props.get(key):
            raise Refusal(
                f"{editor.name}: {key}: required property is missing\n"
                f"zonecfg: {editor.name}: Invalid argument"
            )
    _refuse_address(zone)


def _refuse_address(zone: Zone) -> None:
    if zone.props.get("ip-type") == "exclusive" and any("address" in each for each in zone.resources):
        raise Refusal("net: address cannot be specified for an exclusive IP type")


def _nothing(_editor: Editor, rest: list[Word]) -> None:
    """`commit` and `exit`: a script is committed at its end in any case."""


def _exported(key: str, text: str) -> str:
    name, _, of_link = key.partition(":")
    if of_link:
        return f'add {name} (name={of_link},value="{text}")\n'
    return f"set {key}={text if text.startswith('[') else _quoted(text)}\n"


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"[\s,;=]", value) else value


VERBS = {
    "create": _create,
    "delete": _delete,
    "set": _set,
    "clear": _clear,
    "add": _add,
    "end": _end,
    "cancel": _cancel,
    "remove": _remove,
    "info": _info,
    "export": _export,
    "verify": _verify,
    "commit": _nothing,
    "exit": _nothing,
}
