"""What a command said, in the form in which both sides are compared: paths, order and usage left out.

`WORDINGS` has what tools of different age and system say of one and the same thing; each row is a class of
texts, and what matches is replaced by the name of its class before it is compared.
"""

from __future__ import annotations

import re
from typing import Final

from sledsaga.hosts.host import Completed
from tests.real.differential.fuse import FOREIGN
from tests.real.differential.side import Side, from_side

USAGE: Final = 2
WORDINGS: Final[dict[str, str]] = {
    "[wrong name]": r"invalid dataset name|(leading|trailing) slash in name|empty component .*|"
    r"empty component in name|snapshot delimiter '@' .*|multiple '@'.* delimiters in name|"
    r"invalid character .* in name|name is too long",
    "[one of]": r"must be one of '[^']*'",
    "[size of a record]": r"must be power of 2 from 512B? to (128k|1M)",
    "[in use]": r"is part of (active|exported|exported or potentially active|potentially active) "
    r"(ZFS )?pool '?\w+'?(\. Please see zpool\(8\)\.)?",
    "[no device]": r"no such device in /dev\S*\nmust be a full path or shorthand device name|"
    r"No such file or directory",
    "[no value]": r"missing '=' for (-o option|property=value argument)",
    "[what is missing]": r"missing (arguments|property=value argument(\(s\))?|dataset name(\(s\))?|"
    r"value in property=value argument|dataset argument|path argument)$",
    "[busy]": r"Device busy|target is busy|Device or resource busy",
    "mount(8)": r"mount\((8|1M)\)",
    "\t0\t[default]": r"\t0\t(default|local)",
    "": r"\nuse 'zfs inherit -S \w+' to revert to received value",
}


def plain(side: Side, line: str, done: Completed) -> str:
    """Return the code and the text; of a wrong command line only its first line, for usage is long."""
    said = from_side(side, done.stderr)
    if done.code == USAGE:
        said = said.partition("\n")[0]
    shown = OUTPUTS.get(" ".join(line.split()[:2]), str)(from_side(side, done.stdout))
    text = "\n".join(each for each in (shown.strip(), said.strip()) if each)
    for name, pattern in WORDINGS.items():
        text = re.sub(pattern, name, text)
    text = re.sub(r"umount: \S+ \[busy\]\.\n(cannot unmount '[^']*'): .*", r"\1: [busy]", text)
    return f"{done.code}: {_listed(re.sub('[ ]+', ' ', text))}"


def _listed(text: str) -> str:
    """Sort what a refused destroy lists: the real order is that of a hash table."""
    told, listed, names = text.partition("the following datasets:\n")
    return told + listed + "\n".join(sorted(names.splitlines()))


def _pools(text: str) -> str:
    """Return the names of the pools that an import offers."""
    return "\n".join(sorted(re.findall(r"pool: (\S+)", text)))


def _ours(text: str) -> str:
    """Return the rows of datasets and pools that are ours."""
    rows = text.splitlines()
    return "\n".join(row for row in rows if row.split()[0].partition("/")[0] not in FOREIGN)


def _mounts(text: str) -> str:
    """Return the rows that are ours, sorted: the real ones are in the order of mounting."""
    return "\n".join(sorted(_ours(text).splitlines()))


OUTPUTS: Final = {"zpool import": _pools, "zfs mount": _mounts, "zfs list": _ours, "zpool list": _ours}
"""How the output of a command is compared, when not word by word."""
