"""Who asked: the user at the other end of the socket, as the kernel tells, and who they say they are.

Rules
- The kernel's word is what the log gets. A name that a client gives (`X-Sledsaga-By`: our own gives the
  person behind sudo) is added to it, never put in its place.
- Without the kernel's word (an OS that does not tell) the client's is taken, on the local socket only: its
  mode lets nobody in but its owner.
"""

from __future__ import annotations

import pwd
import socket
import struct
from typing import NamedTuple

from starlette.requests import Request

HEADER = "X-Sledsaga-By"
CHARS_MAX = 200
UCRED = struct.Struct("3i")


class Peer(NamedTuple):
    """The other end of a local socket; `user` is None where the OS does not tell."""

    user: str | None


def peer_of(connection: socket.socket) -> Peer:
    """Ask the kernel who connected."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return Peer(None)
    _pid, uid, _gid = UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, UCRED.size))
    return Peer(user_name(uid))


def user_name(uid: int) -> str:
    """Return a user's name, or the number of one who has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def asker(request: Request) -> str:
    """Return who asked, as the log shall name them."""
    peer: Peer | None = getattr(request.state, "peer", None)
    if peer is None:
        return "unknown"
    said = _said(request)
    if peer.user is None or said in ("", peer.user):
        return said or peer.user or "unknown"
    return f"{said} (as {peer.user})"


def _said(request: Request) -> str:
    raw = request.headers.get(HEADER, "").encode("latin-1")  # the bytes as they came; names are UTF-8
    text = raw.decode("utf-8", "replace").strip()
    return "".join(letter for letter in text if letter.isprintable())[:CHARS_MAX]
