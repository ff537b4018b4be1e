"""Zone images: where the file is that a zone is installed from: an archive, or what describes it (Linux).

- An artifact is known by its sha256 and is a file of that name in the `update` dataset of an internal disk.
- An install image is `<name>.tar.gz` (`<name>.json` on Linux) in the `install` dataset of an internal disk,
  or else below /opt/oxide. Its sha256 is taken from its bytes, so that the same image from another place is
  known to be the same.
- A dataset that is not mounted any more is mounted again first (Linux), never read below a bare mountpoint.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import replace

from sagas.steps.patience import patient
from sledsaga.core.define import Absent, Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.errors import CommandCancelled, CommandTimedOut, HostError, HostUnreachable, Mutates, NotFound
from sledsaga.hosts.ledgers import Place
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
    places, unread = [*_places(sled, wanted)], list[str]()
    for place in places:
        place.refuse_unmended()
        path = place.path
        if place.problem:
            unread.append(f"{path}: {place.problem}")
            continue
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
    looked_at = ", ".join(place.path for place in places) or "no internal disk"
    raise NotFound(f"{what} ({wanted.name}) is not on this sled; looked at {looked_at}")


def have_at_hand(sled: Sled, image: Image) -> None:
    """Have what an image that was located is on mounted again, when it is not there any more.

    Only a look into the folder tells: of a mount whose server has gone the attributes may still be known.
    """
    folder, file = posixpath.split(image.path)
    try:
        is_there = file in sled.host.list_dir(folder)
    except _NOT_OF_ONE_PLACE:
        raise
    except HostError:
        is_there = False
    if not is_there:
        sled.internal_places(posixpath.basename(folder))


def probe(sled: Sled, wanted: ImageWanted) -> Probe:
    """Say where the image is, or that it is not on this sled."""
    try:
        return Present(locate(sled=sled, wanted=wanted), ours=False)
    except Mutates:
        return Absent()
    except (HostError, NotFound) as error:
        return Conflicting(str(error))


def _places(sled: Sled, wanted: ImageWanted) -> Iterator[Place]:
    """Yield the path of the image at each place, or why that place is of no use now."""
    file = wanted.sha256 or f"{wanted.name}{sled.platform.image_suffix}"
    for place in sled.internal_places("update" if wanted.sha256 else "install"):
        yield replace(place, path=f"{place.path}/{file}")
    if wanted.sha256 is None:
        yield Place(f"{INSTALLED}/{file}")


def _digest(sled: Sled, path: str) -> str:
    return hashlib.sha256(sled.host.read_file(path) or b"").hexdigest()
