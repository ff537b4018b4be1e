"""What every interpreter of a command line shares: options as getopt(3) reads them, replies and refusals.

- Exit codes: 0 done, 1 refused, 2 the command line is wrong (its stderr then holds the usage).
- An interpreter raises `Refusal` when nothing was changed; the transaction is rolled back. What was partly
  done is a `Reply` with a code above zero, and stays.
"""

from __future__ import annotations

import getopt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sledsaga.hosts.sim.state import Tx
    from sledsaga.hosts.sim.tree import Tree

KIB = 1024
SUFFIXES = {suffix: KIB**power for power, suffix in enumerate("BKMGTPEZ")}
NUMBER = re.compile(r"(\d+(?:\.\d+)?)([BKMGTPEZ]?)(?:IB|B)?")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command leaves: exit code, stdout, stderr."""

    code: int = 0
    out: str = ""
    err: str = ""


class Refusal(Exception):
    """The command was refused and changed nothing; it never leaves the simulated sled."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.reply = Reply(code, "", text if text.endswith("\n") else text + "\n")


@dataclass(frozen=True, slots=True)
class Call:
    """All that an interpreter may use: the transaction, the file tree, stdin, and the time in seconds."""

    tx: Tx
    tree: Tree
    stdin: bytes
    now: float


Command = Callable[[Call, list[str]], Reply]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a command line, in order, and its operands."""

    pairs: tuple[tuple[str, str], ...]
    operands: list[str] = field(default_factory=list)

    def __contains__(self, flag: str) -> bool:
        return any(name == flag for name, _ in self.pairs)

    def last(self, flag: str, default: str = "") -> str:
        """Return the value of the last such option."""
        return next((value for name, value in reversed(self.pairs) if name == flag), default)

    def every(self, flag: str) -> list[str]:
        """Return the values of all such options."""
        return [value for name, value in self.pairs if name == flag]


def options(args: Sequence[str], accepted: str, usage: str) -> Options:
    """Read options as getopt(3) does: grouped or apart, until the first operand. Refuses unknown ones."""
    try:
        pairs, operands = getopt.getopt(list(args), accepted)
    except getopt.GetoptError as error:
        flag = error.opt
        missing = f"{flag}:" in accepted
        wrong(f"missing argument for '{flag}' option" if missing else f"invalid option '{flag}'", usage)
    return Options(tuple((name.removeprefix("-"), value) for name, value in pairs), operands)


def wrong(text: str, usage: str) -> NoReturn:
    """Refuse a command line that cannot be: exit 2 with the usage."""
    raise Refusal(f"{text}\nusage:\n\t{usage}\n", 2)


def count(operands: Sequence[str], least: int, most: int | None, usage: str, *, what: str = "") -> None:
    """Refuse too few or too many operands; `what` names the operands, in order, parted by commas."""
    if len(operands) < least:
        names = what.split(",")
        name = names[min(len(operands), len(names) - 1)]
        wrong(f"missing {name} argument" if name else "missing argument", usage)
    if most is not None and len(operands) > most:
        wrong("too many arguments", usage)


def assignments(pairs: Sequence[str], what: str = "property=value argument") -> dict[str, str]:
    """Read `key=value` words. Refuses a word without `=`, and a key said twice; neither prints the usage."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Refusal(f"missing '=' for {what}")
        if key in found:
            raise Refusal(f"property '{key}' specified multiple times")
        found[key] = value
    return found


def size_of(text: str) -> int | None:
    """Read a number of bytes such as `512`, `2G`, `1.5T`; None when it is no number."""
    match = NUMBER.fullmatch(text.upper())
    if match is None:
        return None
    return (
        int(float(match[1]) * SUFFIXES[match[2] or "B"])
        if "." in match[1]
        else int(match[1]) * SUFFIXES[match[2] or "B"]
    )


def short(size: int) -> str:
    """Write a number of bytes as the tools do without -p: `96K`, `1.50G`."""
    amount, power = float(size), 0
    while amount >= KIB and power < len(SUFFIXES) - 1:
        amount, power = amount / KIB, power + 1
    suffix = "BKMGTPEZ"[power]
    if power == 0:
        return f"{size}B" if size else "0"
    digits = 0 if amount == int(amount) else max(0, 3 - len(str(int(amount))))
    return f"{amount:.{digits}f}{suffix}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows in script mode: columns parted by one tab, one row a line."""
    return "".join("\t".join(row) + "\n" for row in rows)


def parsable(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as dladm -p does: parted by colons; those in values are escaped, unless it is one column."""
    return "".join(":".join(_escaped(each, alone=len(row) == 1) for each in row) + "\n" for row in rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Write rows for people: padded columns, the first row being the header."""
    return "".join(" ".join(f"{each:<18}" for each in row).rstrip() + "\n" for row in rows)


def _escaped(text: str, *, alone: bool) -> str:
    return text if alone else text.replace("\\", "\\\\").replace(":", "\\:")
