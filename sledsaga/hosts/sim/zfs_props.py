"""Properties of datasets: which there are, what they may be set to, and what they are.

A value has a source: `local`, `default`, `inherited from X`, or `-` for facts. User properties (a name with
a colon) may be anything and are always inherited, so a reader who wants a dataset's own must look at the
source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sledsaga.hosts.sim.argv import Refusal, short, size_of
from sledsaga.hosts.sim.things import Dataset, Mount

if TYPE_CHECKING:
    from sledsaga.hosts.sim.argv import Call

BOTH = ("filesystem", "volume")
FS = ("filesystem",)
SEEN = ("filesystem", "snapshot")
VOL = ("volume",)
ON_OFF = ("on", "off")
CACHES = ("all", "none", "metadata")
GZIPS = tuple(f"gzip-{level}" for level in range(1, 10))
CIPHERS = tuple(f"aes-{bits}-{mode}" for bits in (128, 192, 256) for mode in ("ccm", "gcm"))


@dataclass(frozen=True, slots=True)
class Native:
    """A native property: where it applies, what it may be, its default, who may set it.

    `setting` is `yes`, `create` (only when the dataset is made) or `no` (a fact).
    """

    types: tuple[str, ...] = BOTH
    values: tuple[str, ...] = ()
    default: str = "-"
    setting: str = "yes"
    inherits: bool = False
    is_size: bool = False


NATIVE: dict[str, Native] = {
    "type": Native((*BOTH, "snapshot"), setting="no"),
    "name": Native((*BOTH, "snapshot"), setting="no"),
    "guid": Native((*BOTH, "snapshot"), setting="no"),
    "used": Native((*BOTH, "snapshot"), setting="no", is_size=True),
    "available": Native(setting="no", is_size=True),
    "referenced": Native((*BOTH, "snapshot"), setting="no", is_size=True),
    "written": Native((*BOTH, "snapshot"), setting="no", is_size=True),
    "mounted": Native(FS, setting="no"),
    "encryptionroot": Native(setting="no"),
    "keystatus": Native(setting="no"),
    "quota": Native(FS, default="0", is_size=True),
    "reservation": Native(default="0", is_size=True),
    "refquota": Native(FS, default="0", is_size=True),
    "refreservation": Native(default="0", is_size=True),
    "volsize": Native(VOL, is_size=True),
    "volblocksize": Native(VOL, default="8192", setting="create", is_size=True),
    "recordsize": Native(FS, default="131072", inherits=True, is_size=True),
    "mountpoint": Native(FS, inherits=True),
    "canmount": Native(FS, ("on", "off", "noauto"), "on"),
    "zoned": Native(FS, ON_OFF, "off", inherits=True),
    "compression": Native(
        values=(*ON_OFF, "lzjb", "gzip", *GZIPS, "zle", "lz4"), default="off", inherits=True
    ),
    "checksum": Native(
        values=(*ON_OFF, "fletcher2", "fletcher4", "sha256", "sha512", "skein", "edonr"),
        default="on",
        inherits=True,
    ),
    "atime": Native(FS, ON_OFF, "on", inherits=True),
    "devices": Native(SEEN, ON_OFF, "on", inherits=True),
    "exec": Native(SEEN, ON_OFF, "on", inherits=True),
    "setuid": Native(SEEN, ON_OFF, "on", inherits=True),
    "readonly": Native(values=ON_OFF, default="off", inherits=True),
    "snapdir": Native(FS, ("hidden", "visible"), "hidden", inherits=True),
    "sharenfs": Native(FS, default="off", inherits=True),
    "copies": Native(values=("1", "2", "3"), default="1", inherits=True),
    "sync": Native(values=("standard", "always", "disabled"), default="standard", inherits=True),
    "logbias": Native(values=("latency", "throughput"), default="latency", inherits=True),
    "primarycache": Native(values=CACHES, default="all", inherits=True),
    "secondarycache": Native(values=CACHES, default="all", inherits=True),
    "encryption": Native(values=(*ON_OFF, *CIPHERS), default="off", setting="create"),
    "keyformat": Native(values=("none", "raw", "hex", "passphrase"), default="none", setting="create"),
    "keylocation": Native(default="none"),
    "rawvol": Native(VOL, ON_OFF, "off", setting="create"),
}
ALIASES = {"avail": "available", "refer": "referenced", "compress": "compression", "reserv": "reservation"}
LIMITS = ("quota", "reservation", "refquota", "refreservation")
QUOTAS = ("quota", "refquota")
RECORDS = tuple(512 << power for power in range(12))
CRYPT = ("encryption", "keyformat")


def named(name: str) -> str | None:
    """Return a property's full name, or None when there is none of that name."""
    full = ALIASES.get(name, name)
    return full if full in NATIVE or ":" in full else None


def checked(props: dict[str, str], *, kind: str, creating: bool, refusal: str) -> dict[str, str]:
    """Return properties as they are stored. Refuses what does not exist, does not apply or may not be set."""
    full = {ALIASES.get(key, key): value for key, value in props.items()}
    return {
        key: _checked(key, value, kind=kind, creating=creating, refusal=refusal)
        for key, value in full.items()
    }


def _checked(key: str, value: str, *, kind: str, creating: bool, refusal: str) -> str:
    if ":" in key:
        return value
    if kind == "snapshot":
        raise Refusal(f"{refusal}: this property can not be modified for snapshots")
    native = NATIVE.get(key)
    if native is None:
        raise Refusal(f"{refusal}: invalid property '{key}'")
    if kind not in native.types:
        raise Refusal(f"{refusal}: '{key}' does not apply to datasets of this type")
    if native.setting == "no" or (native.setting == "create" and not creating):
        raise Refusal(f"{refusal}: '{key}' is readonly")
    return _stored(key, value, native, refusal)


def _stored(key: str, value: str, native: Native, refusal: str) -> str:
    if native.is_size:
        number = 0 if value == "none" and key in LIMITS else size_of(value)
        if number is None:
            raise Refusal(f"{refusal}: bad numeric value '{value}'")
        if number == 0 and key in QUOTAS and value != "none":
            raise Refusal(f"{refusal}: use 'none' to disable quota/refquota")
        if key == "recordsize" and number not in RECORDS:
            raise Refusal(f"{refusal}: '{key}' must be power of 2 from 512B to 1M")
        return str(number)
    if native.values and value not in native.values:
        raise Refusal(f"{refusal}: '{key}' must be one of '{' | '.join(native.values)}'")
    if key == "mountpoint" and value not in ("none", "legacy") and not value.startswith("/"):
        raise Refusal(f"{refusal}: 'mountpoint' must be an absolute path, 'none', or 'legacy'")
    if key == "encryption" and value == "on":
        return "aes-256-gcm"
    return value


def lineage(name: str) -> list[str]:
    """Return a dataset's name and those above it, nearest first; a snapshot's filesystem is above it."""
    found = [name]
    if "@" in name:
        name = name.partition("@")[0]
        found.append(name)
    while "/" in name:
        name = name.rpartition("/")[0]
        found.append(name)
    return found


def above(call: Call, name: str, key: str) -> tuple[str, str] | None:
    """Return (dataset, value) of the nearest local setting, the dataset's own included."""
    for each in lineage(name):
        dataset = call.tx.get(Dataset, each)
        if dataset is not None and key in dataset.props:
            return each, dataset.props[key]
    return None


def setting(call: Call, name: str, key: str) -> tuple[str, str]:
    """Return (value, source) of a property that can be set, user properties included."""
    native = NATIVE.get(key, Native(default="-", inherits=True))
    dataset = call.tx.get(Dataset, name)
    if key in CRYPT or key == "keylocation":
        return _crypt_setting(call, name, key)
    if key == "mountpoint":
        return mountpoint(call, name)
    found = above(call, name, key) if native.inherits else None
    if found is None and dataset is not None and key in dataset.props:
        found = name, dataset.props[key]
    if found is None:
        return native.default, "default" if key in NATIVE else "-"
    return found[1], "local" if found[0] == name else f"inherited from {found[0]}"


def mountpoint(call: Call, name: str) -> tuple[str, str]:
    """Return (mountpoint, source): an inherited one is the ancestor's with the rest of the name below it."""
    found = above(call, name, "mountpoint")
    if found is None:
        return f"/{name}", "default"
    origin, value = found
    if origin == name:
        return value, "local"
    rest = name[len(origin) :]
    return value if value in ("none", "legacy") else value.rstrip("/") + rest, f"inherited from {origin}"


def encryption_root(call: Call, name: str) -> str:
    """Return the dataset whose key opens this one, or `-`."""
    for each in lineage(name):
        dataset = call.tx.get(Dataset, each)
        if dataset is not None and "encryption" in dataset.props:
            return each if dataset.digest else "-"
    return "-"


def key_loaded(call: Call, name: str) -> bool | None:
    """Say whether the key of an encrypted dataset is loaded; None when it is not encrypted."""
    root = encryption_root(call, name)
    dataset = call.tx.get(Dataset, root)
    return None if dataset is None else dataset.loaded


def is_mounted(call: Call, name: str) -> str | None:
    """Return the path at which a filesystem is mounted, or None."""
    dataset = call.tx.get(Dataset, name)
    path = mountpoint(call, name)[0]
    mount = call.tx.get(Mount, path)
    return path if mount and dataset and mount.guid == dataset.guid else None


def fact(call: Call, name: str, key: str) -> str:
    """Return a property that nobody sets and that is no size."""
    return FACTS[key](call, name)


def shown(key: str, value: str, *, exact: bool) -> str:
    """Write a stored value as get and list print it: bytes with -p, short numbers and `none` without."""
    native = NATIVE.get(key)
    if exact or native is None or not native.is_size or not value.isdigit():
        return value
    return "none" if value == "0" and key in LIMITS else short(int(value))


def _crypt_setting(call: Call, name: str, key: str) -> tuple[str, str]:
    root = encryption_root(call, name)
    dataset = call.tx.get(Dataset, root)
    if dataset is None:
        return NATIVE[key].default, "default"
    if key == "keylocation":
        return (dataset.props[key], "local") if root == name else ("none", "default")
    return dataset.props[key], "-"


def _keystatus(call: Call, name: str) -> str:
    loaded = key_loaded(call, name)
    return "-" if loaded is None else "available" if loaded else "unavailable"


def _mounted(call: Call, name: str) -> str:
    return "yes" if is_mounted(call, name) else "no"


def _of(call: Call, name: str) -> Dataset:
    dataset = call.tx.get(Dataset, name)
    assert dataset is not None, f"{name} was looked up before"
    return dataset


FACTS: dict[str, Callable[[Call, str], str]] = {
    "name": lambda _, name: name,
    "type": lambda call, name: _of(call, name).type,
    "guid": lambda call, name: str(int(_of(call, name).guid, 16)),
    "mounted": _mounted,
    "encryptionroot": encryption_root,
    "keystatus": _keystatus,
}
