"""Where `sledsaga` begins: this file is all that is loaded before it can say that it was interrupted."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import NoReturn

from sledsaga.engine.collector import collect_rarely

INTERRUPTED = 130  # as in `codes`, which is not loaded yet


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with the code of what happened."""
    collect_rarely()
    try:
        from sledsaga.cli.line import run_to_end

        code = run_to_end(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # while the program is still being loaded, or is done already
        sys.stderr.write("sledsaga: interrupted\n")
        code = INTERRUPTED
    gc.freeze()  # or Python would look through all that was loaded once more, to free what ends anyhow
    sys.exit(code)
