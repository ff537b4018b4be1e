"""From a log's URL to a store: `sqlite:///PATH` (four slashes for an absolute path), or `memory:`.

Rules
- A database is loaded only when its URL asks for it.
- The lock and the socket of a log stand beside its file, so whoever knows the URL finds them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sledsaga.errors import UsageError

if TYPE_CHECKING:  # the words of the core bring pydantic, which a URL does not need
    from sledsaga.store.store import Store

SQLITE: Final = "sqlite:///"
MEMORY: Final = "memory:"


def log_path(url: str) -> Path | None:
    """Return the file of a log, or None for one in memory; raises UsageError for what is no log's URL."""
    if url == MEMORY:
        return None
    name = url.removeprefix(SQLITE)
    if not url.startswith(SQLITE) or not name or name.startswith(":") or "\0" in name:
        raise UsageError(
            f"{url!r} is no log: write sqlite:///PATH (sqlite:////PATH when absolute) or memory:"
        )
    return Path(name).expanduser()


def open_store(url: str, *, create: bool = True, read_only: bool = False) -> Store:
    """Open the log at a URL, making it (and its folder, for its owner alone) when it is not there.

    Raises UsageError, LogUnavailable, LogCorrupt, SchemaMismatch.
    """
    path = log_path(url)
    if path is None:
        from sledsaga.store.memory import MemoryStore

        return MemoryStore()
    from sledsaga.store.sql import SqlStore

    return SqlStore(path, create=create, read_only=read_only)
