"""What is put to the proof: an operation, its params, and where each trial of it starts.

A trial takes place in a fresh folder of its own. When the subject has a sled, a copy of it stands there as
`sled`, so that the one that was given is never changed.

Rules
- Every trial begins with the same: what differs at the end is what the operation did.
- The saga's own id, and marks made of it, are one word in a picture, so that two trials can be compared.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sledsaga.core.define import Operation

Params = Mapping[str, Any]
Picture = Callable[[Path], Any]
GoodEnough = Callable[[Any, Any, Any], bool]
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is made below it has a name of its own


@dataclass(frozen=True, slots=True)
class Subject:
    """An operation with params, and the ground that it is tried on.

    `params` are the same for each trial, or a function of the trial's folder (which may prepare it, too).
    `sled` is the folder of a simulated sled at rest; None for operations that ask for no sled.
    `snapshot` is a picture, as JSON, of what the operation changes beside the sled, given the trial's folder;
    None means all files of that folder.
    `good_enough` is asked about a saga that succeeded on a machine in trouble and left something else than
    it does on one that is well. It gets three pictures of the sled (or, without one, of what is beside it):
    as it is, as it should be, and as it was before the saga. None: nothing else will do.
    `patience_s` is how long one saga may take in a trial before it counts as hanging, in seconds.
    """

    operation: Operation
    params: Params | Callable[[Path], Params]
    sled: Path | None = None
    snapshot: Picture | None = None
    good_enough: GoodEnough | None = None
    patience_s: float = 60.0

    def params_in(self, folder: Path) -> Params:
        """Return the params of a trial in this folder."""
        return self.params(folder) if callable(self.params) else self.params


@contextmanager
def temporary() -> Iterator[Path]:
    """Give a folder for trials: in memory, unless TMPDIR says where; it is removed afterwards."""
    memory = MEMORY if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="sledsaga-", dir=memory) as folder:
        yield Path(folder)
