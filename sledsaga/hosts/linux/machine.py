"""A Linux sled's own document: what cannot be read off the machine.

- Which disks are U.2s and which M.2s is a fact of the chassis, so it is written down; `path` is a block
  device or a file. `plain` true says that data may lie unencrypted on a ZFS that cannot encrypt.
- `state` is a durable folder, for the configurations of zones; `run` a volatile one, for what a reboot ends:
  containers, and who made links, networks of zones and gateways. Sleds on one network share one `run`.
  `cgroup` names the group that zones are in, as a path below the root of each hierarchy; `runtime` is the
  OCI runtime that runs them.
- A disk that is named twice is refused: one of the two would be changed as if it were the other.
- A machine without a document has no disks and the defaults.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sledsaga.errors import HostError, InvalidName, Unparsable
from sledsaga.hosts.disks import Disk, Variant
from sledsaga.hosts.host import Host
from sledsaga.hosts.names import DiskIdentity

DOCUMENT = "/etc/sledsaga/sled.json"
"""Where the document is unless told otherwise."""
Runtime = Literal["crun", "runc"]
_VARIANTS: Mapping[str, Variant] = {"U.2": "U.2", "M.2": "M.2"}
RUNTIMES: Mapping[str, Runtime] = {"crun": "crun", "runc": "runc"}
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}){0,7}")
"""Names of folders in which nothing leads elsewhere; each runtime and each hierarchy takes them."""
_KEYS = frozenset({"disks", "plain", "state", "run", "cgroup", "runtime"})


@dataclass(frozen=True, slots=True)
class Machine:
    """A Linux machine as its document describes it; the sizes of its disks are read when they are listed."""

    disks: tuple[Disk, ...] = ()
    is_plain_allowed: bool = False
    state: str = "/var/lib/sledsaga"
    run: str = "/run/sledsaga"
    cgroup: str = "sledsaga"
    runtime: Runtime = "crun"


def parse_machine(data: bytes) -> Machine:
    """Read a machine's document. Raises Unparsable with what is wrong with it."""
    try:
        document = json.loads(data)
        unknown = sorted(set(document) - _KEYS)
        if unknown:
            raise Unparsable(f"unknown key {unknown[0]!r}; expected {', '.join(sorted(_KEYS))}")
        otherwise = Machine()
        return Machine(
            disks=_disks(document.get("disks", ())),
            is_plain_allowed=_bool(document.get("plain", False)),
            state=_path(document.get("state", otherwise.state)),
            run=_path(document.get("run", otherwise.run)),
            cgroup=_group(document.get("cgroup", otherwise.cgroup)),
            runtime=RUNTIMES[document.get("runtime", otherwise.runtime)],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidName) as error:
        raise Unparsable(f"{type(error).__name__} {error}") from error


def read_machine(host: Host, document: str = "") -> Machine:
    """Read the machine's own document (the default one, unless named).

    Raises HostError for one that is named and not there, or that cannot be read.
    """
    path = document or DOCUMENT
    data = host.read_file(path)
    if data is None and document:
        raise HostError(f"{path}: there is no such document; name one, or make it with `sledsaga sled init`")
    try:
        return Machine() if data is None else parse_machine(data)
    except Unparsable as error:
        raise HostError(f"{path} is no document of a machine: {error}") from error


def machine_document(machine: Machine) -> bytes:
    """Return the bytes that `parse_machine` reads."""
    disks = [
        {
            "vendor": disk.identity.vendor,
            "model": disk.identity.model,
            "serial": disk.identity.serial,
            "path": disk.path,
            "slot": disk.slot,
            "variant": disk.variant,
        }
        for disk in machine.disks
    ]
    document = {
        "disks": disks,
        "plain": machine.is_plain_allowed,
        "state": machine.state,
        "run": machine.run,
        "cgroup": machine.cgroup,
        "runtime": machine.runtime,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _disks(rows: Iterable[Mapping[str, Any]]) -> tuple[Disk, ...]:
    disks = tuple(map(_disk, rows))
    _refuse_twice("identity", [disk.identity for disk in disks])
    _refuse_twice("path", [posixpath.normpath(disk.path) for disk in disks])
    return disks


def _refuse_twice(what: str, values: Sequence[object]) -> None:
    """Raise Unparsable, with the rows, when two disks are the same."""
    twice = next((one for one in values if values.count(one) > 1), None)
    if twice is not None:
        places = " and ".join(f"disks[{place}]" for place, one in enumerate(values) if one == twice)
        raise Unparsable(
            f"{places} have the same {what} ({twice}); each disk is named once: take the others out"
        )


def _group(value: object) -> str:
    if not isinstance(value, str) or not _GROUP.fullmatch(value):
        raise Unparsable(
            f"cgroup is {value!r}; expected a path below the root of the control groups, such as 'sledsaga' "
            "or 'a.slice/b', of names of letters, digits, `_`, and after the first of them `.` and `-`"
        )
    return value


def _disk(one: Mapping[str, Any]) -> Disk:
    identity = DiskIdentity(str(one["vendor"]), str(one["model"]), str(one["serial"]))
    return Disk(identity, _path(one["path"]), 0, int(one["slot"]), _VARIANTS[one["variant"]])


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"plain is {value!r}; expected true or false")
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"{value!r} is no absolute path")
    return value
