"""An operation of one's own that speaks HTTP: async steps, a retry, a timeout, an idempotency key."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from sledsaga import Context, Model, Retry, Transient, no_undo, open_engine, operation, step

ASKED: list[str] = []


class Params(Model):
    """Where the registry is, and what to register there."""

    registry: str
    name: str


async def ticket(ctx: Context, params: Params) -> str:
    """Register the name; the key makes a second call the same registration."""
    async with httpx.AsyncClient(base_url=params.registry) as http:
        answer = await http.put(f"/{params.name}", headers={"Idempotency-Key": ctx.key})
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise Transient("the registry is busy")
    return answer.raise_for_status().text


async def undo_ticket(params: Params) -> None:
    """Take the registration back; none there is fine."""
    async with httpx.AsyncClient(base_url=params.registry) as http:
        (await http.delete(f"/{params.name}")).raise_for_status()


def receipt(ticket: str, params: Params) -> str:
    """Blocking and async steps stand side by side."""
    return f"{params.name} has ticket {ticket}"


REGISTER = operation(
    "register",
    version=1,
    params=Params,
    steps=[
        step(ticket, undo=undo_ticket, retry=Retry(5, backoff_s=0.05), timeout_s=10),
        step(receipt, undo=no_undo("a receipt leaves nothing")),
    ],
)


class Registry(BaseHTTPRequestHandler):
    """A tiny server that is busy when it is first asked, so that the step is tried again."""

    def do_PUT(self) -> None:
        """Say that it is busy once, then give a ticket."""
        ASKED.append(f"PUT {self.path}, the key ends in {self.headers['Idempotency-Key'][-7:]}")
        status = 503 if len(ASKED) == 1 else 200
        self.wfile.write(f"HTTP/1.0 {status} \r\n\r\nT-1".encode())

    def log_message(self, *_args: object) -> None:
        """Stay silent."""


def main() -> None:
    """Start the server, run the saga, show what came of it and what the server was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    params = {"registry": f"http://127.0.0.1:{server.server_port}", "name": "sled-7"}
    with server, open_engine(db="memory:", operations=[REGISTER]) as engine:
        saga = engine.run("register", params, timeout_s=30)
        server.shutdown()
    first, last = saga.steps
    print(f"{saga.state} in attempt {first.attempts}: {last.output}", *ASKED, sep="\n  ")


if __name__ == "__main__":
    main()
