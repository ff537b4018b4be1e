"""Zone images: where the file is that a zone is installed from: an archive, or what describes it (Linux).

- An artifact is known by its sha256 and is a file of that name in the `update` dataset of an internal disk.
- An install image is `<name>.tar.gz` (`<name>.json` on Linux) in the `install` dataset of an internal disk,
  or else below /opt/oxide. Its sha256 is taken from its bytes, so that the same image from another place is
  known to be the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sagas.steps.patience import patient
from sledsaga.core.define import Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.errors import CommandCancelled, CommandTimedOut, HostError, HostUnreachable, NotFound
from sledsaga.hosts.sled import Sled

INSTALLED = "/opt/oxide"
"""Where images are that came with the sled's own system: volatile, so it is the last place to look."""
_NOT_OF_ONE_PLACE = (CommandCancelled, CommandTimedOut, HostUnreachable)
"""Errors that say nothing about one disk, so another place does not make up for them."""


class ImageWanted(Model):
    """An image: an artifact by its `sha256` (64 hex digits), or else the one installed under `name`."""

    name: str
    sha256: str | None = None

    @property
    def key(self) -> str:
        """What tells it from other images."""
        return self.sha256 or self.name


class Image(Model):
    """An image that is there: its path on the sled and its sha256."""

    path: str
    sha256: str


@patient
def locate(sled: Sled, wanted: ImageWanted) -> Image:
    """Find an image on this sled, on whichever disk answers.

    Raises NotFound with all places that were looked at, HostError when one of them could not be looked at.
    """
    places, unread = [*_places(sled, wanted)], []
    for path in places:
        try:
            found = sled.host.stat(path)
            if found is not None and found.kind == "file":
                return Image(path=path, sha256=wanted.sha256 or _digest(sled, path))
        except _NOT_OF_ONE_PLACE:
            raise
        except HostError as error:
            unread.append(str(error))
    what = f"artifact {wanted.sha256}" if wanted.sha256 else "install image"
    if unread:
        raise HostError(
            f"{what} ({wanted.name}) was not found, and not all could be read: {'; '.join(unread)}"
        )
    raise NotFound(
        f"{what} ({wanted.name}) is not on this sled; looked at {', '.join(places) or 'no internal disk'}"
    )


def probe(sled: Sled, wanted: ImageWanted) -> Probe:
    """Say where the image is, or that it is not on this sled."""
    try:
        return Present(locate(sled=sled, wanted=wanted), ours=False)
    except (HostError, NotFound) as error:
        return Conflicting(str(error))


def _places(sled: Sled, wanted: ImageWanted) -> Iterator[str]:
    folder = "update" if wanted.sha256 else "install"
    file = wanted.sha256 or f"{wanted.name}{sled.platform.image_suffix}"
    for pool in sorted(pool.name for pool in sled.pools.list() if pool.name.pool_class == "internal"):
        yield f"{pool.mountpoint}/{folder}/{file}"
    if wanted.sha256 is None:
        yield f"{INSTALLED}/{file}"


def _digest(sled: Sled, path: str) -> str:
    return hashlib.sha256(sled.host.read_file(path) or b"").hexdigest()
