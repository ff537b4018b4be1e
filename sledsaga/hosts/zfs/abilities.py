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
    - `compressions`: which compressions it knows.
    - `delegation`: how a zone gets its dataset.
    - `set_immutable`, `clear_immutable`: what forbids any change in a folder, and allows it; less the folder.
    """

    name: str
    has_encryption: bool = True
    is_plain_allowed: bool = False
    sets_epoch_with_key: bool = True
    has_features: bool = True
    has_exact_sizes: bool = True
    compressions: tuple[str, ...] = COMPRESSIONS
    delegation: Delegation = "zoned"
    set_immutable: tuple[str, ...] = ("chmod", "S+ci")
    clear_immutable: tuple[str, ...] = ("chmod", "S-ci")


ILLUMOS_ZFS = Abilities("illumos")
