"""The executor's ear: the API on a unix socket, in a thread of the process that drives the sagas.

Rules
- `start` binds before it returns, so that from then on every client is answered; the rest is loaded in the
  thread, for whoever only wants to run one saga need not wait for it.
- No signal is handled here and nothing is written to the terminal: both are the process's own.
- The caller holds the OS lock of the log for as long as this runs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from sledsaga.engine.diagnostics import logger
from sledsaga.engine.engine import Engine
from sledsaga.web.sockets import listen, remove_own

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

    from sledsaga.web.service import Service

GRACE_S = 1
JOIN_S = 3.0


class Server:
    """Answers for one engine on one socket. Use as a context manager, or call `start` and `stop`."""

    def __init__(self, engine: Engine, path: Path) -> None:
        """Take the engine and where the socket shall stand; a path of any length will do."""
        self.path = path.absolute()
        self._engine = engine
        self._listener: socket.socket | None = None
        self._inode = 0
        self._thread: threading.Thread | None = None
        self._uvicorn: uvicorn.Server | None = None
        self._service: Service | None = None
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Bind the socket and begin to answer; raises LogUnavailable when it cannot be made."""
        self._listener = listen(self.path)
        self._inode = self.path.lstat().st_ino
        self._thread = threading.Thread(target=self._run, name="sledsaga-web", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Refuse what is new from here on, and let all who wait go; what is running is still shown."""
        if self._service is not None:
            self._service.drain()

    def stop(self) -> None:
        """Stop answering, within about a second, and remove the socket; a second call does nothing."""
        with self._lock:
            self._stopping = True
            if self._uvicorn is not None:
                self._uvicorn.should_exit = True
        self.drain()
        self._remove()
        if self._thread is not None:
            self._thread.join(JOIN_S)
            self._thread = None
        if self._listener is not None:
            self._listener.close()

    def _run(self) -> None:
        assert self._listener is not None
        try:
            server = self._load()
            with self._lock:
                self._uvicorn = server
                server.should_exit = self._stopping
            asyncio.run(server.serve(sockets=[self._listener]))
        except Exception:  # noqa: BLE001 - the sagas go on without their ear; the diagnostics say so
            logger.exception("the executor no longer answers on {}", self.path)
        finally:
            self._remove()
            self._listener.close()

    def _remove(self) -> None:
        """Remove the socket file once: a number of a file that is gone may be another's next."""
        with self._lock:
            inode, self._inode = self._inode, 0
        if inode:
            remove_own(self.path, inode)

    def _load(self) -> uvicorn.Server:
        import uvicorn

        from sledsaga.web.app import make_app

        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        app = make_app(self._engine)
        self._service = app.state.service
        config = uvicorn.Config(
            app,
            http=cast("Any", Connection),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        return uvicorn.Server(config)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


class Connection:
    """uvicorn's HTTP protocol for one client, which also tells the app who that is."""

    def __init__(
        self,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Make the protocol that does the work."""
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        self._http = HttpToolsProtocol(config, server_state, dict(app_state), _loop)

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Note who connected."""
        from sledsaga.web.peer import peer_of

        self._http.app_state["peer"] = peer_of(transport.get_extra_info("socket"))
        self._http.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Pass it on."""
        self._http.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._http.data_received(data)

    def eof_received(self) -> None:
        """Pass it on."""
        self._http.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._http.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._http.resume_writing()
