"""`zonecfg -z NAME 'command ; command ...'`, or `-f FILE` (`-` is stdin): the configuration of a zone.

A script is all or nothing: it is committed at its end, and verified before. What an installed zone may not
have changed under it (its zonepath, its brand, its existence) is refused.
"""

from __future__ import annotations

import re
import shlex
import uuid
from dataclasses import dataclass, replace

from sledsaga.hosts import files
from sledsaga.hosts.sim.argv import Call, Refusal, Reply, options, wrong
from sledsaga.hosts.sim.things import Zone

USAGE = "zonecfg -z zonename command ...\n\tzonecfg -z zonename -f command-file"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
GLOBALS = (
    *("zonename", "zonepath", "brand", "autoboot", "bootargs", "pool", "limitpriv", "ip-type", "hostid"),
    *("scheduling-class", "fs-allowed", "max-lwps", "cpu-shares"),
)
RESOURCES: dict[str, tuple[str, ...]] = {
    "dataset": ("name",),
    "fs": ("dir", "special", "type"),
    "net": ("physical",),
    "device": ("match",),
    "attr": ("name", "type", "value"),
    "admin": ("user", "auths"),
    "security-flags": (),
    "capped-memory": (),
    "rctl": ("name",),
}
"""Each kind of resource and the properties that it must have."""
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
    for words in _commands(script):
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


def _commands(script: str) -> list[list[str]]:
    """Split a script at `;` and line ends outside quotes, and each command into words."""
    lexer = shlex.shlex(script.replace("\n", " ; "), posix=True, punctuation_chars=";")
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[list[str]] = [[]]
    try:
        for word in lexer:
            if set(word) == {";"}:
                found.append([])
            else:
                found[-1].append(word)
    except ValueError as error:
        raise Refusal(f"zonecfg: syntax error: {error}") from error
    return [words for words in found if words and not words[0].startswith("#")]


def _run(editor: Editor, words: list[str]) -> None:
    verb, rest = words[0], words[1:]
    if verb not in VERBS:
        raise Refusal(f"zonecfg: unknown command '{verb}'", 2)
    VERBS[verb](editor, rest)


def _create(editor: Editor, rest: list[str]) -> None:
    opts = options(rest, "Fbat:", "create [-F] [-b | -t template]")
    if editor.zone is not None and "F" not in opts:
        raise Refusal(f"Zone {editor.name} already exists; to overwrite it use the -F flag.")
    if editor.installed():
        raise Refusal(f"Zone {editor.name} already installed; create not allowed.")
    usual = {"autoboot": "false", "ip-type": "exclusive"}
    editor.zone = Zone(
        str(uuid.uuid4()), "configured", usual if "b" in opts else {**usual, "brand": "lipkg"}, []
    )
    editor.changed = True


def _delete(editor: Editor, rest: list[str]) -> None:
    options(rest, "F", "delete [-F]")
    editor.known()
    if editor.installed():
        raise Refusal(f"Zone {editor.name} already installed; delete not allowed.")
    editor.zone, editor.deleted = None, True


def _set(editor: Editor, rest: list[str]) -> None:
    key, equals, value = " ".join(rest).partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise Refusal("usage: set <property-name>=<property-value>", 2)
    zone = editor.known()
    if editor.scope is not None:
        editor.scope[key] = value
        return
    if key not in GLOBALS:
        raise Refusal(f"zonecfg: unknown property '{key}'", 2)
    if key in FIXED and editor.installed() and zone.props.get(key) != value:
        raise Refusal(f"Zone {editor.name} already installed; set {key} not allowed.")
    if key == "zonepath" and not value.startswith("/"):
        raise Refusal(f"{value} is not an absolute path.")
    editor.zone = replace(zone, props={**zone.props, key: value})
    editor.changed = True


def _clear(editor: Editor, rest: list[str]) -> None:
    zone = editor.known()
    editor.zone = replace(zone, props={key: value for key, value in zone.props.items() if key not in rest})
    editor.changed = True


def _add(editor: Editor, rest: list[str]) -> None:
    editor.known()
    if editor.scope is not None:
        _add_value(editor.scope, rest)
        return
    if len(rest) != 1 or rest[0] not in RESOURCES:
        raise Refusal(f"zonecfg: unknown resource type '{' '.join(rest)}'", 2)
    editor.scope = {"kind": rest[0]}


def _add_value(scope: dict[str, str], rest: list[str]) -> None:
    """Read `add options ro` and `add property (name=N,value=V)` within a resource."""
    if not rest[1:]:
        raise Refusal("usage: add <property-name> <property-value>", 2)
    key, value = rest[0], " ".join(rest[1:])
    match = re.fullmatch(r"\(name=(.+?),\s*value=(.*)\)", value)
    if match:
        key, value = f"{key}:{match[1]}", match[2].strip('"')
    scope[key] = f"{scope[key]},{value}" if key in scope else value


def _end(editor: Editor, _rest: list[str]) -> None:
    if editor.scope is None:
        raise Refusal("zonecfg: end command is only valid in a resource scope", 2)
    missing = [key for key in RESOURCES[editor.scope["kind"]] if key not in editor.scope]
    if missing:
        raise Refusal(f"zonecfg: {missing[0]} not specified in {editor.scope['kind']} resource")
    zone = editor.known()
    editor.zone = replace(zone, resources=[*zone.resources, editor.scope])
    editor.scope, editor.changed = None, True


def _cancel(editor: Editor, _rest: list[str]) -> None:
    editor.scope = None


def _remove(editor: Editor, rest: list[str]) -> None:
    zone = editor.known()
    words = [word for word in rest if word != "-F"]
    wanted = dict(word.partition("=")[::2] for word in words[1:])
    doomed = [
        each
        for each in zone.resources
        if words and each["kind"] == words[0] and all(each.get(key) == value for key, value in wanted.items())
    ]
    if not doomed:
        raise Refusal(f"zonecfg: No such {' '.join(words)} resource.")
    editor.zone = replace(zone, resources=[each for each in zone.resources if each not in doomed])
    editor.changed = True


def _info(editor: Editor, _rest: list[str]) -> None:
    zone = editor.known()
    editor.out += f"zonename: {editor.name}\n"
    editor.out += "".join(f"{key}: {value}\n" for key, value in zone.props.items())
    for each in zone.resources:
        editor.out += f"{each['kind']}:\n"
        editor.out += "".join(f"\t{key}: {value}\n" for key, value in each.items() if key != "kind")


def _export(editor: Editor, _rest: list[str]) -> None:
    zone = editor.known()
    editor.out += "create -b\n"
    editor.out += "".join(f"set {key}={_quoted(value)}\n" for key, value in zone.props.items())
    for each in zone.resources:
        editor.out += f"add {each['kind']}\n"
        editor.out += "".join(f"set {key}={_quoted(value)}\n" for key, value in each.items() if key != "kind")
        editor.out += "end\n"


def _verify(editor: Editor, _rest: list[str] | None = None) -> None:
    zone = editor.known()
    for key in ("zonepath", "brand"):
        if not zone.props.get(key):
            raise Refusal(
                f"{editor.name}: {key}: required property is missing\n"
                f"zonecfg: {editor.name}: Invalid argument"
            )


def _nothing(_editor: Editor, _rest: list[str]) -> None:
    """`commit` and `exit`: a script is committed at its end in any case."""


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
