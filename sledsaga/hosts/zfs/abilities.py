"""What a ZFS can do and this one may not: asked once, so that what is missing is refused in clear words.

A driver asks here before it builds a command that not every ZFS knows; nothing else differs between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sledsaga.hosts.names import COMPRESSIONS

Delegation = Literal["zoned", "bind"]
"""How a zone gets its dataset: delegated whole (`zoned=on`), or mounted outside and bound into it."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one ZFS can do.

    - `has_encryption`: encrypted datasets and their keys. `is_plain_allowed`: who runs this sled has said
      that data may lie there unencrypted when it has none; otherwise that is refused.
    - `sets_epoch_with_key`: `change-key` takes a user property in the same command (illumos only).
    - `has_features`: pools have feature flags. `has_exact_sizes`: `zpool list -p` and `zpool get -Hp`.
    - `has_bare_import`: `zpool import -N`. No driver needs it: what must not be mounted is `canmount=noauto`.
    - `sets_many`: `zfs set` takes several properties in one command; else it is one command for each.
    - `compressions`: which compressions it knows.
    - `delegation`: how a zone gets its dataset.
    - `set_immutable`, `clear_immutable`: what forbids any change in a folder, and allows it; less the folder.
    - `is_linux`: /proc tells who holds a mount, a mount whose server has gone can be let go, and pools are
      looked for in the folder of their disk.
    - `turns_by`: the folder by whose lock commands that change anything take turns; empty: they need not.
    - `busy_pauses_s`: how long to wait between the tries of a command that found its dataset or pool busy.
    """

    name: str
    has_encryption: bool = True
    is_plain_allowed: bool = False
    sets_epoch_with_key: bool = True
    has_features: bool = True
    has_exact_sizes: bool = True
    has_bare_import: bool = True
    sets_many: bool = True
    compressions: tuple[str, ...] = COMPRESSIONS
    delegation: Delegation = "zoned"
    set_immutable: tuple[str, ...] = ("chmod", "S+ci")
    clear_immutable: tuple[str, ...] = ("chmod", "S-ci")
    is_linux: bool = False
    turns_by: str = ""
    busy_pauses_s: tuple[float, ...] = (1.0, 1.0)


ILLUMOS_ZFS = Abilities("illumos")
