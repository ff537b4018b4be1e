"""A reader of zonecfg scripts, written from the facts of zonecfg(8) and of its grammar.

Facts
- A script is commands, each ended by `;` or a line end; `#` where a command could begin is a comment.
- The first word of a command is looked for among the commands only; after it, names of resources and of
  properties are words of their own, and may stand as values, too. A bare word ends at `=`, `;`, a bracket,
  a quote or a blank, and inside brackets at a comma. A quoted text holds anything but a quote and a line
  end, and is never a name. There is no escape.
- A value is simple (a text), complex `(name=text,...)` or a list `[value,...]`, which may be empty. Only the
  options of a filesystem are a list of texts, and only the value of a resource control is complex.
- `add RESOURCE` opens a scope, `end` closes it when all that is required is there and no other resource of
  that kind has its name; within it, only its own properties may be set. What is not closed is not saved.

One rule is stricter than zonecfg, which takes the last: no script of ours sets one property twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Simple = str
Complex = dict[str, str]
Value = Simple | Complex | list[Simple | Complex]


class Broken(ValueError):
    """A script that zonecfg would not save, or that cannot have been meant; the text says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a resource of a kind must and may have, and what no two of them may share."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    name: tuple[str, ...] = ()


KINDS = {
    "fs": Kind(("dir", "special", "type"), ("raw", "options"), ("dir",)),
    "net": Kind(
        ("physical",), ("address", "allowed-address", "defrouter"), ("physical", "address", "allowed-address")
    ),
    "device": Kind(("match",), name=("match",)),
    "rctl": Kind(("name", "value"), name=("name",)),
    "attr": Kind(("name", "type", "value"), name=("name",)),
    "dataset": Kind(("name",), name=("name",)),
    "dedicated-cpu": Kind(("ncpus",), ("importance",)),
    "capped-cpu": Kind(("ncpus",)),
    "capped-memory": Kind((), ("physical", "swap", "locked")),
    "admin": Kind(("user", "auths"), name=("user",)),
    "security-flags": Kind((), ("default", "lower", "upper")),
}
GLOBALS = (
    *("zonename", "zonepath", "brand", "autoboot", "bootargs", "pool", "limitpriv", "ip-type", "hostid"),
    *("fs-allowed", "scheduling-class", "cpu-shares", "max-lwps", "max-processes", "max-shm-memory"),
    *("max-shm-ids", "max-msg-ids", "max-sem-ids"),
)
PROPERTIES = {*GLOBALS, "priv", "limit", "action"} | {
    name for kind in KINDS.values() for name in (*kind.required, *kind.optional)
}
FLAGS = {"create": "bFat", "delete": "F", "exit": "F", "export": "f", "revert": "F"}
COMMANDS = {*FLAGS, *("add", "set", "end", "cancel", "clear", "commit", "verify", "info", "remove", "select")}
ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
TYPED = {
    "string": re.compile(r".{1,255}", re.DOTALL),
    "int": re.compile(r"[+-]?[0-9]+"),
    "uint": re.compile(r"\+?[0-9]+"),
    "boolean": re.compile(r"true|false"),
}
CHOICES = {"autoboot": ("true", "false"), "ip-type": ("shared", "exclusive")}
_BARE = {False: re.compile(r'[^ \t\n";=\[\]()]+'), True: re.compile(r'[^ \t\n",;=\[\]()]+')}
_QUOTED = re.compile(r'"([^"\n]*)"')


@dataclass(frozen=True, slots=True)
class Token:
    """A mark such as `=`, or a text, bare or quoted."""

    text: str
    is_mark: bool = False
    is_quoted: bool = False

    @property
    def is_name(self) -> bool:
        """Whether it is read as the name of a property."""
        return not self.is_mark and not self.is_quoted and self.text in PROPERTIES


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as it would be saved."""

    kind: str
    values: dict[str, Value]


@dataclass(slots=True)
class Configuration:
    """A zone as a script describes it."""

    values: dict[str, Value] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    scope: Resource | None = None
    is_created: bool = False

    def of_kind(self, kind: str) -> list[dict[str, Value]]:
        """Return the values of each resource of a kind, in order."""
        return [each.values for each in self.resources if each.kind == kind]


def parse(script: str) -> Configuration:
    """Read the script of a zone that is not yet there. Raises Broken."""
    zone = Configuration()
    for tokens in commands(script):
        _run(zone, tokens[0].text, tokens[1:])
    if zone.scope is not None:
        raise Broken(f"add {zone.scope.kind} was never ended")
    for name in ("zonepath", "brand"):
        if name not in zone.values:
            raise Broken(f"{name} is not set")
    for net in zone.of_kind("net"):
        if ("address" in net) is (zone.values.get("ip-type", "shared") == "exclusive"):
            raise Broken("an address is for a zone that shares its IP stack, and needed there")
    return zone


def commands(script: str) -> list[list[Token]]:
    """Split a script into commands, and each into tokens; the first of each is a command's name."""
    found: list[list[Token]] = [[]]
    at, depth = 0, 0
    while at < len(script):
        token, at = _next(script, at, in_brackets=depth > 0, is_first=not found[-1])
        if token is None:
            continue
        if token.is_mark and token.text in ";\n":
            found.append([])
            depth = 0
            continue
        if token.is_mark:
            depth += (token.text in "[(") - (token.text in "])")
        found[-1].append(token)
    return [each for each in found if each]


def _next(script: str, at: int, *, in_brackets: bool, is_first: bool) -> tuple[Token | None, int]:
    """Read one token, or a blank or comment (None); return where the next begins."""
    char = script[at]
    if char in " \t":
        return None, at + 1
    if is_first and char == "#":
        end = script.find("\n", at)
        return None, len(script) if end < 0 else end
    if char in ";\n=[]()" or (char == "," and in_brackets):
        return Token(char, is_mark=True), at + 1
    quoted = _QUOTED.match(script, at)
    if quoted is not None and not is_first:
        return Token(quoted[1], is_quoted=True), quoted.end()
    bare = _BARE[in_brackets].match(script, at)
    if bare is None:
        raise Broken(f"a quote that is not closed, or in a wrong place, at {script[at : at + 20]!r}")
    if is_first and bare[0] not in COMMANDS:
        raise Broken(f"{bare[0]} is no command")
    return Token(bare[0]), bare.end()


def _run(zone: Configuration, verb: str, rest: list[Token]) -> None:
    if verb == "create":
        _flags(verb, rest)
        zone.is_created = True
        return
    if not zone.is_created:
        raise Broken(f"{verb} before create: there is no such zone")
    if verb == "add" and zone.scope is None:
        zone.scope = Resource(_kind(rest), {})
    elif verb == "add":
        _add_value(zone, rest)
    elif verb == "set":
        _set(zone, rest)
    elif verb in ("end", "cancel"):
        _close(zone, verb, rest)
    elif verb in ("commit", "verify", "exit"):
        _flags(verb, rest)
    else:
        raise Broken(f"{verb} is no part of a script that makes a zone")


def _flags(verb: str, rest: list[Token]) -> None:
    for token in rest:
        if not re.fullmatch(f"-[{FLAGS.get(verb, '')}]", token.text):
            raise Broken(f"{verb} does not take {token.text}")


def _kind(rest: list[Token]) -> str:
    if len(rest) != 1 or rest[0].is_quoted or rest[0].text not in KINDS:
        raise Broken(f"add takes the name of a resource, not {[each.text for each in rest]}")
    return rest[0].text


def _close(zone: Configuration, verb: str, rest: list[Token]) -> None:
    if zone.scope is None or rest:
        raise Broken(f"{verb} closes a resource, and none is open, or it was given words")
    scope, zone.scope = zone.scope, None
    if verb == "end":
        _check(scope, zone)
        zone.resources.append(scope)


def _set(zone: Configuration, rest: list[Token]) -> None:
    if len(rest) < 2 or not rest[0].is_name or rest[1] != Token("=", is_mark=True):
        raise Broken(f"set takes property=value, not {[each.text for each in rest]}")
    name, value = rest[0].text, _whole(rest[2:])
    values = _values_for(zone, name)
    if name in values:
        raise Broken(f"{name} is set twice")
    if zone.scope is None and name in CHOICES and value not in CHOICES[name]:
        raise Broken(f"{name} is one of {CHOICES[name]}")
    if name == "zonepath" and not re.fullmatch(r"/+[^/].*", str(value)):
        raise Broken(f"{value} is no absolute path below /")
    values[name] = value


def _add_value(zone: Configuration, rest: list[Token]) -> None:
    if not rest or not rest[0].is_name:
        raise Broken(f"add takes a property and a value here, not {[each.text for each in rest]}")
    name, value = rest[0].text, _whole(rest[1:])
    scope = zone.scope
    if scope is None or (scope.kind, name) not in {("fs", "options"), ("rctl", "value")}:
        raise Broken(f"{name} is set, not added")
    held = _values_for(zone, name).setdefault(name, [])
    if not isinstance(held, list):
        raise Broken(f"{name} is set already")
    held += value if isinstance(value, list) else [value]


def _values_for(zone: Configuration, name: str) -> dict[str, Value]:
    if zone.scope is None:
        if name not in GLOBALS:
            raise Broken(f"{name} is no property of a zone")
        return zone.values
    kind = KINDS[zone.scope.kind]
    if name not in (*kind.required, *kind.optional):
        raise Broken(f"{name} is no property of {zone.scope.kind}")
    return zone.scope.values


def _whole(tokens: list[Token]) -> Value:
    """Read one value that takes all the tokens."""
    value, rest = _value(tokens)
    if rest:
        raise Broken(f"{rest[0].text!r} after a value: a text with blanks is quoted")
    return value


def _value(tokens: list[Token]) -> tuple[Value, list[Token]]:
    if tokens and tokens[0] == Token("[", is_mark=True):
        return _list(tokens[1:])
    return _item(tokens)


def _list(tokens: list[Token]) -> tuple[Value, list[Token]]:
    items: list[Simple | Complex] = []
    if tokens and tokens[0] == Token("]", is_mark=True):
        return items, tokens[1:]
    while True:
        item, tokens = _item(tokens)
        items.append(item)
        if not tokens or not tokens[0].is_mark or tokens[0].text not in ",]":
            raise Broken("a list is not closed")
        mark, tokens = tokens[0].text, tokens[1:]
        if mark == "]":
            return items, tokens


def _item(tokens: list[Token]) -> tuple[Simple | Complex, list[Token]]:
    if not tokens:
        raise Broken("a value is missing")
    if tokens[0] == Token("(", is_mark=True):
        return _complex(tokens[1:])
    if tokens[0].is_mark:
        raise Broken(f"{tokens[0].text!r} stands where a value should")
    return tokens[0].text, tokens[1:]


def _complex(tokens: list[Token]) -> tuple[Complex, list[Token]]:
    found: Complex = {}
    while True:
        marks = [each.text for each in tokens[1:4:2] if each.is_mark]
        if len(tokens) < 4 or not tokens[0].is_name or tokens[2].is_mark or marks[:1] != ["="]:
            raise Broken("a complex value is (name=value,...)")
        if tokens[0].text in found:
            raise Broken(f"{tokens[0].text} stands twice in one value")
        found[tokens[0].text] = tokens[2].text
        mark, tokens = marks[-1], tokens[4:]
        if mark == ")":
            return found, tokens
        if mark != ",":
            raise Broken("a complex value is not closed")


def _check(scope: Resource, zone: Configuration) -> None:
    kind, values = KINDS[scope.kind], scope.values
    missing = [name for name in kind.required if not values.get(name)]
    if missing or (scope.kind == "capped-memory" and not values):
        raise Broken(f"{scope.kind} lacks {missing or 'a limit'}")
    for name, value in values.items():
        may_be_listed = (scope.kind, name) in {("fs", "options"), ("rctl", "value")}
        if not isinstance(value, str) and not may_be_listed:
            raise Broken(f"{name} of {scope.kind} is a simple value")
    if scope.kind == "fs" and not str(values["dir"]).startswith("/"):
        raise Broken(f"{values['dir']} is no absolute path")
    if scope.kind == "attr":
        _check_attribute(str(values["name"]), str(values["type"]), str(values["value"]))
    same = [each for each in zone.of_kind(scope.kind) if _name(kind, each) == _name(kind, values)]
    if same:
        raise Broken(f"there is such a {scope.kind} already")


def _check_attribute(name: str, kind: str, value: str) -> None:
    if not ATTRIBUTE.fullmatch(name):
        raise Broken(f"{name} is no name of an attribute")
    if kind not in TYPED or not TYPED[kind].fullmatch(value):
        raise Broken(f"{value} is no {kind}")


def _name(kind: Kind, values: dict[str, Value]) -> tuple[Value | None, ...]:
    return tuple(values.get(name) for name in kind.name)
