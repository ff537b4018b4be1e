"""An event that costs nothing until somebody waits for it: each call has one, and most calls end unasked."""

from __future__ import annotations

import threading
from typing import Final

_MAKING: Final = threading.Lock()


class Flag(threading.Event):
    """As `threading.Event`, but what waiting needs is made by the first who waits."""

    def __init__(self) -> None:  # the base is begun by `_prepare`
        """Begin unset."""
        self._is_raised = self._can_wait = False

    def is_set(self) -> bool:
        """Say whether it was set."""
        return self._is_raised

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._is_raised = True
        with _MAKING:
            can_wait = self._can_wait
        if can_wait:
            super().set()

    def clear(self) -> None:
        """Refuse: what a call was told is not taken back."""
        msg = "a flag stays as it was set"
        raise NotImplementedError(msg)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, for so many seconds at most; say whether it is."""
        self._prepare()
        return self._is_raised or super().wait(timeout)  # whoever raises it from here on sees that we wait

    def __repr__(self) -> str:
        return f"<Flag: {'set' if self._is_raised else 'unset'}>"

    def _prepare(self) -> None:
        with _MAKING:
            if not self._can_wait:
                super().__init__()
                self._can_wait = True
