"""Numbers that the two sides measure in their own ways: compared as relations, within bounds.

- `referenced` and `used` of each dataset agree within `FIXED_KIB` and `PART`, after a command that waited for
  the pool to be written: before that, the real numbers are those of some seconds ago.
- A write is left out when it would end nearer than `NEAR_KIB` to where either side has no more room; all
  others are refused on both sides or on neither.
"""

from __future__ import annotations

import re
from typing import Final

from tests.real.differential.side import KIB
from tests.real.differential.state import State

FIXED_KIB: Final = 400
PART: Final = 0.15
POOL_KIB: Final = 1500
"""What the real root of a pool also counts: the pool's own records, some hundred KiB when it is small."""
NEAR_KIB: Final = 700
WAITS: Final = re.compile(r"zfs (create(?! -p)|set|snapshot|inherit|rename(?! -p)) .*?(\w+)[^ ]*$")
"""Commands that end when the pool is written; what was freed comes back later, so not those that destroy.

With -p there may have been nothing to write.
"""


def too_different(line: str, said: str, sim: State, real: State) -> list[str]:
    """Say which sizes are too far apart after a line; none when the real ones need not be fresh."""
    match = WAITS.match(line)
    if match is None or not said.startswith("0: ") or "@" in line:
        return []
    pool = line.rsplit(maxsplit=1)[-1].partition("/")[0]
    found = []
    for name in sorted(sim.sizes):
        if name.partition("/")[0].partition("@")[0] == pool and name in real.sizes:
            for key in ("referenced", "used"):
                mine, theirs = sim.sizes[name][key], real.sizes[name][key]
                bound = FIXED_KIB + (POOL_KIB if key == "used" and name == pool else 0)
                if abs(mine - theirs) > bound * KIB + PART * max(mine, theirs):
                    found.append(f"{name} {key}: {mine // KIB} KiB | {theirs // KIB} KiB")
    return found


def is_near(path: str, kib: int, sim: State, real: State) -> bool:
    """Say whether a write below ROOT would end near to where one of the sides has no more room."""
    places = {
        values["mountpoint"][0]: name
        for name, values in sim.datasets.items()
        if values.get("mounted", ("no", ""))[0] == "yes"
    }
    above = [place for place in places if path.startswith(f"{place}/")]
    if not above:
        return False
    name = places[max(above, key=len)]
    free = [state.sizes.get(name, {}).get("available", 0) // KIB for state in (sim, real)]
    return min(free) - NEAR_KIB < kib < max(free) + NEAR_KIB
