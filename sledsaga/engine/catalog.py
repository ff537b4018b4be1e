"""The operations that an executor knows, by name and version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sledsaga.core.define import Operation
from sledsaga.errors import InvalidPlan, UnknownOperation


class Catalog:
    """A set of operations; several versions of one name may stand side by side."""

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        """Take the operations; raises InvalidPlan when two have the same name and version."""
        self._versions: dict[str, dict[int, Operation]] = {}
        for operation in operations:
            self.add(operation)

    def add(self, operation: Operation) -> None:
        """Add one more; the same object twice is fine."""
        versions = self._versions.setdefault(operation.name, {})
        if versions.get(operation.version, operation) is not operation:
            msg = f"two operations are named {operation.name} v{operation.version}; rename one of them"
            raise InvalidPlan(msg)
        versions[operation.version] = operation

    def get(self, name: str, version: int | None = None) -> Operation:
        """Return an operation, in its newest version unless one is named; raises UnknownOperation."""
        versions = self._versions.get(name)
        if not versions:
            known = ", ".join(self.names()) or "none"
            msg = f"there is no operation {name!r}; there are: {known}"
            raise UnknownOperation(msg)
        found = versions.get(version or max(versions))
        if found is None:
            known = ", ".join(f"v{one}" for one in sorted(versions))
            msg = f"unknown version: {name} v{version}; this program has {known}"
            raise UnknownOperation(msg)
        return found

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted."""
        return tuple(sorted(self._versions))

    def __iter__(self) -> Iterator[Operation]:
        """Yield all operations, by name, then version."""
        for name in self.names():
            for version in sorted(self._versions[name]):
                yield self._versions[name][version]
