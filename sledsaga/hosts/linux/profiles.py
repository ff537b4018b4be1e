"""The profile of a zone as JSON, read at each boot: the same facts always give the same bytes."""

from __future__ import annotations

from functools import cache

from pydantic import TypeAdapter, ValidationError

from sledsaga.errors import Unparsable
from sledsaga.hosts.zone import Profile


def render_profile(profile: Profile) -> bytes:
    """Return the bytes that `parse_profile` reads."""
    return _adapter().dump_json(profile, indent=1) + b"\n"


def parse_profile(data: bytes) -> Profile:
    """Read a profile. Raises Unparsable."""
    try:
        return _adapter().validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or repr(data[:40])
        raise Unparsable(f"the profile of a zone has {where}: {first['msg']}") from error


@cache
def _adapter() -> TypeAdapter[Profile]:
    return TypeAdapter(Profile)
