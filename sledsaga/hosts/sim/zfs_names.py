"""Which names datasets, snapshots and pools may have, and what the tools say of others.

The rules and texts are those of libzfs (`zfs_validate_name`, `zpool_name_valid`): names are looked at before
anything else, so a wrong name never reads as one that is not there.
"""

from __future__ import annotations

import re

from sledsaga.hosts.sim.argv import Refusal

NAME_BYTES = 255
CHARACTER = re.compile(r"[A-Za-z0-9\-_.: %]")
POOL_CHARACTER = re.compile(r"[A-Za-z0-9\-_.: ]")
RESERVED_STARTS = ("mirror", "raidz", "draid", "spare")
RESERVED = ("log",)
NEVER = ("mirror", "raidz", "draid")
"""No pool can ever have these names; with those above, none can be made."""
DISKLIKE = re.compile(r"c[0-9].*")
EMPTY = "empty component or misplaced '@' or '#' delimiter in name"


def check_name(name: str, refusal: str, *, modifying: bool = False, snapshots: bool = True) -> None:
    """Refuse what cannot be the name of a dataset; `snapshots` says whether `@` may be in it."""
    if not snapshots and "@" in name:
        raise Refusal(f"{refusal}: snapshot delimiter '@' is not expected here")
    if modifying and "%" in name:
        raise Refusal(f"{refusal}: invalid character % in name")
    fault = fault_of(name)
    if fault:
        raise Refusal(f"{refusal}: {fault}")


def check_snapshot_name(name: str, refusal: str) -> None:
    """Refuse what cannot be the name of a new snapshot."""
    if "@" not in name:
        raise Refusal(f"{refusal}: missing '@' delimiter in snapshot name")
    check_name(name, refusal, modifying=True)


def check_pool_name(name: str, refusal: str, *, creating: bool = False) -> None:
    """Refuse what cannot be the name of a pool; some names are for devices only when one is made."""
    if len(name) > NAME_BYTES:
        raise Refusal(f"{refusal}: name is too long")
    for character in name:
        if not POOL_CHARACTER.match(character):
            raise Refusal(f"{refusal}: invalid character '{character}' in pool name")
    if not name[:1].isalpha():
        raise Refusal(f"{refusal}: name must begin with a letter")
    if DISKLIKE.fullmatch(name):
        raise Refusal(f"{refusal}: pool name is reserved")
    if name in NEVER or (creating and (name.startswith(RESERVED_STARTS) or name in RESERVED)):
        raise Refusal(f"{refusal}: name is reserved")


def fault_of(name: str) -> str:
    """Say what is wrong with a name, in the order in which libzfs looks; nothing when it is fine."""
    if len(name) > NAME_BYTES:
        return "name is too long"
    if name.startswith("/"):
        return "leading slash in name"
    parts = re.split(r"([/@#])", name)
    ends = [*parts[1::2], ""]
    for place, (part, end) in enumerate(zip(parts[::2], ends, strict=True)):
        if not part and not end and place and ends[place - 1] == "/":
            return "trailing slash in name"
        strange = next((each for each in part if not CHARACTER.match(each)), None)
        if strange is not None:
            return f"invalid character '{strange}' in name"
        was_snapshot = any(each in "@#" for each in ends[:place])
        if end and end in "@#" and was_snapshot:
            return "multiple '@' and/or '#' delimiters in name"
        if not part:
            return EMPTY
        if end == "/" and was_snapshot:
            return "trailing slash in name"
    return ""
