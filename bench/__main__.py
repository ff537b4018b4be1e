"""How fast sagas are, beside the bare disk and beside themselves, in one run: `make bench`.

    python -m bench [--scale tiny] [--rounds N] [--only REGEX]

Every figure is of full durability (WAL, `synchronous=FULL`; a start is in the log before its call). Machines
are noisy, so each bar is on a ratio whose two sides are measured in turn, in processes of their own. The
table has the medians of both, and least, median and largest ratio; all figures are in a JSON file below
`bench/results/`. The last line says how many bars hold.
"""

from __future__ import annotations

import re

from bench.show import options, show
from bench.suite import CASES


def main() -> None:
    """Measure the cases that were asked for."""
    asked = options("python -m bench", "How fast sagas are.").parse_args()
    show("bench", [case for case in CASES if re.search(asked.only, case.name)], asked)


if __name__ == "__main__":
    main()
