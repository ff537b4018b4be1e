"""A zone's configuration as one `zonecfg` script, with a fingerprint by which it is known again.

Rules
- The script overwrites what is there (`create -F -b`), so running it twice is running it once.
- Two attributes are kept in the configuration itself: `sledsaga-saga`, whose it is, and
  `sledsaga-config`, the fingerprint of everything else in the script and of the image's hash. The path of
  the image is not in it: the same image from another place is no reason to build a zone anew.
- A value that zonecfg would not read back as one word is quoted; one that cannot be quoted is refused.
- zonecfg goes on after a command that it refused, and may save the rest. So what it would refuse for its form
  (the name of an attribute, a text that is too long, a thing that is named twice) is refused here before.
- zonecfg joins its arguments by blanks and reads them as one script, so the script is one argument.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

from sledsaga.errors import InvalidName, Unparsable
from sledsaga.hosts.answer import changes, looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.illumos.profile import render_profile
from sledsaga.hosts.names import zfs_name
from sledsaga.hosts.zone import SecurityFlags, ZoneSpec

NO_ATTRIBUTE = re.compile(r"|No (?:such )?attr resources?\.")
"""What zonecfg may say when a zone has none, beside nothing."""
MAX_ATTRIBUTE = 255
"""Bytes of an attribute's name and value (zonecfg: validate_attr_type_val; MAXNAMELEN less its NUL)."""
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
TAG_ATTRIBUTE = "sledsaga-saga"
FINGERPRINT_ATTRIBUTE = "sledsaga-config"
PROFILE_MARK = "sledsaga-profile"
"""Attribute with the digest of the profile: so a zone with another address is another configuration."""
_WORD = re.compile(r"[A-Za-z0-9_./:@%+,*-]+")
_UNQUOTABLE = re.compile(r'["\\\x00-\x1f\x7f]')


@lru_cache(maxsize=256)  # each step of a zone needs it, to know the zone by
def script(spec: ZoneSpec) -> tuple[str, ...]:
    """Return the zonecfg commands for a zone, without tag and fingerprint. Raises InvalidName."""
    _refuse_twice(spec)
    return (
        "create -F -b",
        f"set brand={_value(spec.brand)}",
        f"set zonepath={_path(spec.path)}",
        f"set autoboot={'true' if spec.is_autoboot else 'false'}",
        "set ip-type=exclusive",
        f"set limitpriv={_value(','.join(spec.privileges))}",
        *_resources(spec),
        *(part for name, value in _attributes(spec) for part in _attribute(name, value)),
    )


def fingerprint(spec: ZoneSpec) -> str:
    """Return the sha256, in hex, of all that makes this zone what it is."""
    return hashlib.sha256("\n".join((*script(spec), spec.image_hash)).encode()).hexdigest()


def configure_zone(spec: ZoneSpec, *, saga: str) -> HostCommand:
    """Write the configuration of a zone, whatever was there before."""
    marks = (*_attribute(TAG_ATTRIBUTE, saga), *_attribute(FINGERPRINT_ATTRIBUTE, fingerprint(spec)))
    return changes("zonecfg", "-z", spec.name, " ; ".join((*script(spec), *marks)))


def show_attributes(name: str) -> HostCommand:
    """Show the attributes of a configured zone."""
    return looks("zonecfg", "-z", name, "info attr")


def delete_zone(name: str) -> HostCommand:
    """Delete the configuration of a zone that is not installed."""
    return changes("zonecfg", "-z", name, "delete", "-F")


def parse_attributes(text: str) -> dict[str, str]:
    """Read the attributes in what `info` printed, as names and values. Raises Unparsable."""
    found: dict[str, str] = {}
    name, is_attribute = None, False
    for line in text.splitlines():
        if ":" not in line and not NO_ATTRIBUTE.fullmatch(line.strip()):
            raise Unparsable(f"zonecfg info attr printed {line[:80]!r}; expected names and values by a colon")
        if not line[:1].isspace():
            name, is_attribute = None, line.strip() == "attr:"
        key, _, value = line.strip().partition(":")
        value = value.strip().removeprefix('"').removesuffix('"')
        if is_attribute and key == "name":
            name = value
        elif is_attribute and key == "value":
            if name is None:
                raise Unparsable(f"zonecfg info attr printed a value without a name: {line!r}")
            found[name], name = value, None
    return found


def _resources(spec: ZoneSpec) -> Iterator[str]:
    for dataset in spec.datasets:
        yield from ("add dataset", f"set name={zfs_name(dataset)}", "end")
    for filesystem in spec.filesystems:
        yield from ("add fs", f"set type={_value(filesystem.type)}", f"set dir={_path(filesystem.dir)}")
        yield f"set special={_value(filesystem.special)}"
        yield from (f"add options {_value(option)}" for option in filesystem.options)
        yield "end"
    for device in spec.devices:
        yield from ("add device", f"set match={_value(device)}", "end")
    for link in spec.links:
        yield from ("add net", f"set physical={link}", "end")
    yield from _security_flags(spec.security_flags)


def _security_flags(flags: SecurityFlags | None) -> Iterator[str]:
    if flags is None:
        return
    yield "add security-flags"
    for name, words in (("default", flags.default), ("lower", flags.lower), ("upper", flags.upper)):
        if words:
            yield f"set {name}={_value(','.join(words))}"
    yield "end"


def _attributes(spec: ZoneSpec) -> Iterator[tuple[str, str]]:
    yield from spec.attributes
    if spec.profile is not None:
        yield PROFILE_MARK, hashlib.sha256(render_profile(spec.profile)).hexdigest()


def _refuse_twice(spec: ZoneSpec) -> None:
    """Raise InvalidName when two resources of a kind have one name; zonecfg would not save the zone."""
    attributes = [*(name for name, _ in _attributes(spec)), TAG_ATTRIBUTE, FINGERPRINT_ATTRIBUTE]
    named: dict[str, list[str]] = {
        "dataset": list(spec.datasets),
        "folder": [each.dir for each in spec.filesystems],
        "device": list(spec.devices),
        "link": list(spec.links),
        "attribute": attributes,
    }
    for kind, names in named.items():
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InvalidName(f"{spec.name} names the {kind} {twice!r} twice; name it once")


def _attribute(name: str, value: str) -> tuple[str, ...]:
    if not _ATTRIBUTE_NAME.fullmatch(name) or len(name) > MAX_ATTRIBUTE:
        raise InvalidName(f"{name!r} is no name of a zone's attribute: expected letters, digits, - and .")
    if len(value.encode()) > MAX_ATTRIBUTE:
        raise InvalidName(
            f"attribute {name} has {len(value.encode())} bytes; at most {MAX_ATTRIBUTE} are kept"
        )
    return ("add attr", f"set name={_value(name)}", "set type=string", f"set value={_value(value)}", "end")


def _path(text: str) -> str:
    if not text.startswith("/") or not text.strip("/"):
        raise InvalidName(f"{text!r} cannot be a folder of a zone: expected an absolute path below /")
    return _value(text)


def _value(text: str) -> str:
    if _UNQUOTABLE.search(text) or not text:
        raise InvalidName(f"{text!r} cannot stand in a zone's configuration: no quotes or control characters")
    return text if _WORD.fullmatch(text) else f'"{text}"'
