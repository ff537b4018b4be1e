"""The same sagas on the best of the peers: `make bench-peers`.

    python -m bench.peers [--scale tiny] [--rounds N] [--only REGEX]

Each peer gets a virtual environment of its own (see `install`), each measurement a process of its own, and
all of them take turns with ours. A peer runs on SQLite (Restate on its own log) at full durability, at
several numbers of sagas at once; the best of all in each round is what ours is held against.
"""

from __future__ import annotations

import re

from bench.peers.install import NEEDS, NotInstalledError, install
from bench.peers.run import case
from bench.show import options, show


def main() -> None:
    """Install the peers that are not there yet, then measure."""
    asked = options("python -m bench.peers", "The same sagas on peers.").parse_args()
    left_out: dict[str, str | None] = {}
    for peer in filter(re.compile(asked.only).search, NEEDS):
        try:
            print(f"{peer} {install(peer).version}", flush=True)
            left_out[peer] = None
        except NotInstalledError as error:
            left_out[peer] = f"not installed: {error}"
    show("peers", [case(left_out)], asked)


if __name__ == "__main__":
    main()
