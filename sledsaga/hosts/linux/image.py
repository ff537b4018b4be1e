"""What a zone of Linux is installed from: a JSON document that says which service runs in it, and how.

- A zone shares /usr with its machine; so an image holds no files but small ones for /etc, and names the host
  paths that it `needs` with the Debian packages that bring them.
- `{word}` in a text is replaced by a property of the zone's first enabled service (`{listen_addr}`), or by
  one of `{zone}`, `{address}`, `{gateway}`, `{network}` (the subnet of the zone's address). `{listen_host}`
  is `{listen_addr}` as a URL has it, an IPv6 address in brackets. A word that nothing gives is an error.
- `prepare` runs inside the zone before its service, as often as it takes until the file `unless` is there;
  what it runs must fit a data folder in which an earlier attempt was killed, and make that file last.
- The service is the zone's first process: when it ends the zone is down, and the next `ensure` boots it.
- `health` is run on the machine, outside; a zone is ready when that ends with 0 and prints what is expected,
  and so do the probes that are run `inside`. So an image is trusted like the program itself.
- `time` is run inside and prints what `chronyc -c tracking` would. A zone without it keeps no clock of its
  own, and the kernel is asked whether its clock is in step.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sledsaga.errors import InvalidParams, NotFound, Unparsable
from sledsaga.hosts.zone import STORE, Profile, ServiceProfile

NOBODY: Final = 65534
"""Whom a service runs as unless its image says otherwise."""
MOST_WAIT_S: Final = 60.0
"""How long a service may be given at most to end by itself."""
_WORD: Final = re.compile(r"\{([a-z_]+)\}")
_FOLDER: Final = "images"
_PLAIN: Final = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
"""A name in a path that leads nowhere else."""
Argv = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^\x00]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Probe(_Part):
    """A question: what to run, and what it prints when all is well (None: anything, if it ends with 0)."""

    run: Argv
    expect: str | None = None


class Prepare(_Part):
    """What is run before the service until `unless`, a path inside the zone below /data, is there."""

    unless: Annotated[str, Field(pattern=rf"^{STORE}(/{_PLAIN})+$")]
    run: Annotated[tuple[Argv, ...], Field(min_length=1)]


class Limits(_Part):
    """What a zone may use where the machine has cgroups to hold it: `memory` in bytes, `pids` processes."""

    memory: int | None = Field(default=None, gt=0)
    pids: int | None = Field(default=None, gt=0)


class Stop(_Part):
    """How the service is told to end, and after how many seconds it is ended.

    At most MOST_WAIT_S: whoever halts a zone has two minutes, and a zone that is never ended is never halted.
    """

    signal: Literal["TERM", "INT", "QUIT"] = "TERM"
    wait_s: float = Field(default=10.0, gt=0, le=MOST_WAIT_S)


class ZoneImage(_Part):
    """A zone image; the texts in it still have their words in braces."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]
    command: Argv
    health: Probe
    inside: tuple[Probe, ...] = ()
    time: Argv | None = None
    prepare: Prepare | None = None
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")] = "nobody"
    uid: int = Field(default=NOBODY, ge=0, lt=2**31)
    gid: int = Field(default=NOBODY, ge=0, lt=2**31)
    environment: dict[str, str] = {}
    files: dict[Annotated[str, Field(pattern=rf"^/etc(/{_PLAIN})+$")], str] = {}
    ports: tuple[Annotated[str, Field(pattern=rf"^([1-9][0-9]{{0,4}}|{_WORD.pattern})$")], ...] = ()
    needs: dict[AbsolutePath, str] = {}
    limits: Limits = Limits()
    stop: Stop = Stop()


def parse_image(data: bytes) -> ZoneImage:
    """Read an image. Raises Unparsable with the first thing that is wrong with it, in one line."""
    try:
        return ZoneImage.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise Unparsable(f"this is no zone image for Linux: {where}: {first['msg']}") from error


def shipped(name: str) -> bytes:
    """Return the image of that name which comes with this program. Raises NotFound with all there are."""
    folder = resources.files(__package__) / _FOLDER
    file = folder / f"{name}.json"
    if not re.fullmatch("[a-z0-9_-]+", name) or not file.is_file():
        there = sorted(each.name.removesuffix(".json") for each in folder.iterdir())
        raise NotFound(f"no zone image {name!r} comes with this program; there are {', '.join(there)}")
    return file.read_bytes()


def image_words(zone: str, profile: Profile | None) -> dict[str, str]:
    """Return what the words in an image stand for, in a zone with this profile. Raises InvalidParams."""
    words = {"zone": zone, "store": STORE}
    if profile is None:
        return words
    network = profile.network
    words |= {"address": network.address, "gateway": network.gateway, "network": _subnet(network.address)}
    words |= _properties(profile.services)
    if "listen_addr" in words:
        words["listen_host"] = _url_host(words["listen_addr"])
    return words


def fill(text: str, words: Mapping[str, str]) -> str:
    """Put in the words. Raises Unparsable for one that nothing gives."""

    def word(found: re.Match[str]) -> str:
        if found[1] not in words:
            raise Unparsable(
                f"nothing gives {found[0]} of {text[:60]!r}; there are {', '.join(sorted(words))}"
            )
        return words[found[1]]

    return _WORD.sub(word, text)


def filled(image: ZoneImage, words: Mapping[str, str]) -> ZoneImage:
    """Return the image with all its words put in. Raises Unparsable for one that nothing gives."""

    def put_in(value: object) -> object:
        if isinstance(value, str):
            return fill(value, words)
        if isinstance(value, list):
            return [put_in(one) for one in value]
        return {key: put_in(one) for key, one in value.items()} if isinstance(value, dict) else value

    return parse_image(json.dumps(put_in(image.model_dump(mode="json"))).encode())


def _properties(services: tuple[ServiceProfile, ...]) -> dict[str, str]:
    return next((dict(service.properties) for service in services if service.is_enabled), {})


def _subnet(address: str) -> str:
    """Return the /64 of an IPv6 address, the /24 of an IPv4 one: what a sled's zones share."""
    try:
        return str(ipaddress.ip_network(f"{address}/{64 if ':' in address else 24}", strict=False))
    except ValueError as error:
        raise InvalidParams(
            f"{address!r} is no address for a zone; expected IPv6 or IPv4, no length"
        ) from error


def _url_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
