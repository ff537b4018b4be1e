"""What is on a disk of Linux, told by two tools that must agree.

- `zdb -l` reads the four labels of a ZFS disk, and says of each that is none `failed to unpack label N`.
- `blkid -p` looks for everything else that may be there; exit code 2 and no output is its word for nothing.
- A disk is blank when both say so. Also when its labels name a pool of ours that was destroyed, or whose
  create never came to an end (`txg: 0`): `zpool create` takes such a disk without `-f`. What it would take,
  too, stays: a destroyed pool that is not ours (it can still be rescued), and any other file system
  (zfs-fuse does not look at all).
- A pool that another machine has in use is foreign, whatever its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sledsaga.errors import ForeignObject, InvalidName, Unparsable
from sledsaga.hosts.answer import failed, looks
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.names import PoolName

LABELS = 4
ACTIVE, EXPORTED, DESTROYED = 0, 1, 2
STATES: Mapping[int, str] = MappingProxyType(
    {ACTIVE: "in use", EXPORTED: "exported", DESTROYED: "destroyed", 3: "a spare", 4: "a cache"}
)
"""The pool states of a label, as ZFS numbers them."""
NOTHING = 2
"""How `blkid -p` ends when it knows nothing of what is there."""
PARTITION = "PART_ENTRY_"
"""How the facts about a partition itself begin, which say nothing of what is in it."""
AMBIVALENT = "ambivalent result"
OURS = "zfs_member"
_UNPACKED = re.compile(r"^failed to unpack label \d+$", re.MULTILINE)
_FACT = re.compile(r"^    (name|state|txg|pool_guid|hostname): '?([^'\n]*)'?$", re.MULTILINE)
_RULE = re.compile(r"^LABEL \d.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Label:
    """What a ZFS label says: the pool's name, its state and number, and the machine that last used it."""

    name: str
    state: int
    txg: int
    pool: int
    machine: str = ""

    @property
    def is_over(self) -> bool:
        """Whether its pool was destroyed, or never came to be."""
        return self.state == DESTROYED or (self.state == ACTIVE and self.txg == 0)


def read_label(path: str) -> HostCommand:
    """Read the ZFS labels of a disk."""
    return looks("zdb", "-l", path)


def read_signature(path: str) -> HostCommand:
    """Look for any file system or partition table on a disk, past every cache."""
    return looks("blkid", "-p", "-o", "export", path)


def list_ids() -> HostCommand:
    """List the imported pools with the number that is in their labels."""
    return looks("zpool", "list", "-Ho", "name,guid")


def parse_labels(done: Completed) -> tuple[Label, ...]:
    """Read `zdb -l`: the newest label of each pool; none when all four are no labels.

    Its exit code says little: 0 or not, both ways. Raises CommandFailed (nothing could be read), Unparsable.
    """
    found = [label for block in _RULE.split(done.stdout)[1:] if (label := _label(block)) is not None]
    if found:
        by_age = sorted(found, key=lambda label: label.txg)
        return tuple({(label.name, label.pool): label for label in by_age}.values())
    if len(_UNPACKED.findall(done.stdout)) == LABELS:
        return ()
    if done.code != 0:
        raise failed(done)
    raise Unparsable(
        f"zdb read {done.argv[-1]} but printed neither a label nor {LABELS} times that there is none"
    )


def _label(block: str) -> Label | None:
    facts = dict(reversed(_FACT.findall(block)))
    if not facts:
        return None
    try:
        number = {key: int(facts.get(key, "0")) for key in ("state", "txg", "pool_guid")}
        return Label(
            facts["name"], number["state"], number["txg"], number["pool_guid"], facts.get("hostname", "")
        )
    except (KeyError, ValueError) as error:
        raise Unparsable(f"zdb printed a label that cannot be: {error} in {sorted(facts)}") from error


def parse_signature(done: Completed) -> str | None:
    """Read `blkid -p -o export`: what is there, or None for nothing.

    Of a blank partition it tells where that is on its disk. Raises CommandFailed, ForeignObject (several
    things at once).
    """
    if done.code == NOTHING and not done.stdout and not done.stderr:
        return None
    if AMBIVALENT in done.stderr:
        raise ForeignObject(
            f"{done.argv[-1]} holds more than one file system (blkid: {AMBIVALENT}); it stays. "
            f"See what they are with `wipefs {done.argv[-1]}`"
        )
    if done.code != 0:
        raise failed(done)
    facts = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    kind = facts.get("TYPE") or facts.get("PTTYPE")
    if kind is None and all(key == "DEVNAME" or key.startswith(PARTITION) for key in facts):
        return None
    if kind is None:
        raise Unparsable(
            f"blkid found something on {done.argv[-1]} but neither TYPE nor PTTYPE: {sorted(facts)}"
        )
    return kind


def parse_ids(text: str) -> dict[int, str]:
    """Read `zpool list -Ho name,guid` as {number: name}. Raises Unparsable."""
    try:
        return {int(guid): name for name, guid in (line.split() for line in text.splitlines())}
    except ValueError as error:
        raise Unparsable(f"zpool list printed {text!r}; expected a name and a number in each line") from error


def judge(path: str, found: tuple[Label, ...], signature: str | None) -> Label | None:
    """Return the label of the pool of ours that is on a disk, or None when it is blank.

    Raises ForeignObject for all else.
    """
    if signature not in (None, OURS) or (signature is not None and not found):
        raise ForeignObject(f"{path} holds {signature}, expected a pool or a blank disk; it stays as it is")
    for label in found:
        _refuse_foreign(path, label)
    living = [label for label in found if not label.is_over]
    if len(living) > 1:
        names = ", ".join(label.name for label in living)
        raise ForeignObject(f"{path} has labels of several pools ({names}); it stays as it is")
    return living[0] if living else None


def _refuse_foreign(path: str, label: Label) -> None:
    state = STATES.get(label.state, f"in state {label.state}")
    try:
        PoolName(label.name)
    except InvalidName as error:
        raise ForeignObject(f"{path} holds another pool ({state}), which stays: {error}") from error
    if label.state not in (ACTIVE, EXPORTED, DESTROYED):
        raise ForeignObject(f"{path} is {state} of {label.name}; it stays as it is")
