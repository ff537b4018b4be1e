"""A real simulated sled for some of the sagas: real drivers, real command lines, durable state.

Rules
- Each saga makes datasets and a zone of its own, so any number of them share one sled.
- A crash may come before and after each command that changes it.
- The drivers do not wait: the clock of the world is not theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sledsaga.check.simulation.operations import Order
from sledsaga.core.define import Operation, Retry, operation, step
from sledsaga.engine.context import Context
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.names import ZoneName
from sledsaga.hosts.sim import DiskSpec, SimSled
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.hosts.zfs.spec import DatasetSpec
from sledsaga.hosts.zone import ZoneSpec

ID: Final = "00000000-0000-4000-8000-000000000001"
POOL: Final = f"oxp_{ID}"
PLACE: Final = f"/pool/ext/{ID}"
AGAIN: Final = Retry(4, 0.1)
Reach = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """The sled of a world."""

    owner: SimSled
    operations: tuple[Operation, ...]

    @classmethod
    def make(cls, folder: Path) -> Ground:
        """Make a sled with one pool."""
        owner = SimSled.create(folder / "sled", [DiskSpec("1b96", "WUS4", "A0", pool=POOL)])
        return cls(owner, (_operation(),))

    def sled(self, ctx: Context, reach: Reach) -> Sled:
        """Return the sled as one call sees it."""

        def told(point: str) -> Callable[[HostCommand], None]:
            return lambda _command: reach(point, ctx.step)

        host = StepHost(self.owner.host, ctx.cancelled, None, told("before-command"), told("after-command"))
        return Sled(host, saga=ctx.saga, pause=lambda _seconds: None, monotonic=ctx.monotonic)

    def left(self) -> dict[tuple[str, int], str]:
        """Return whose each thing is, by its step and the number of its order."""
        sled = Sled(self.owner.host, saga="nobody")
        outer_ones = sled.datasets.below(POOL)
        names = [*outer_ones, *(name for one in outer_ones for name in sled.datasets.below(one))]
        found: dict[tuple[str, int], str] = {}
        for name, seen in sled.datasets.observe_all(names).items():
            outer, _, inner = name.removeprefix(f"{POOL}/s").partition("/")
            found[inner or "outer", int(outer)] = seen.saga or ""
        for zone in sled.zones.observe_all():
            found["zone", int(zone.name.rpartition("-")[2])] = zone.saga or ""
        return found

    def close(self) -> None:
        """Let go of the sled."""
        self.owner.close()


def _operation() -> Operation:
    steps = [
        step(_outer, name="outer", undo=_no_outer, retry=AGAIN),
        step(_inner, name="inner", undo=_no_inner, after="outer", retry=AGAIN),
        step(_zone, name="zone", undo=_no_zone, after="outer", retry=AGAIN, timeout_s=2.0),
        step(_last, name="last", undo=_nothing_left, after=("inner", "zone")),
    ]
    return operation("sled-op", version=1, params=Order, steps=steps)


def _spec(order: Order, below: str = "") -> DatasetSpec:
    return DatasetSpec(f"{POOL}/s{order.number}{below}", f"{PLACE}/s{order.number}{below}", quota=2**20)


def _zone_spec(order: Order) -> ZoneSpec:
    name = ZoneName(f"oxz_ntp_00000000-0000-4000-8000-{order.number:012d}")
    return ZoneSpec(name, f"{PLACE}/s{order.number}/zone", "/opt/oxide/ntp.tar.gz")


def _outer(sled: Any, params: Order) -> str:  # noqa: ANN401 - the sled of the simulation
    return str(sled.sled.datasets.ensure(_spec(params)).name)


def _no_outer(sled: Any, params: Order) -> None:  # noqa: ANN401 - as above
    spec = _spec(params)
    sled.sled.datasets.destroy(spec.name, mountpoint=spec.mountpoint)


def _inner(sled: Any, params: Order) -> str:  # noqa: ANN401 - as above
    return str(sled.sled.datasets.ensure(_spec(params, "/inner")).name)


def _no_inner(sled: Any, params: Order) -> None:  # noqa: ANN401 - as above
    spec = _spec(params, "/inner")
    sled.sled.datasets.destroy(spec.name, mountpoint=spec.mountpoint)


def _zone(sled: Any, params: Order) -> bool:  # noqa: ANN401 - as above
    return bool(sled.sled.zones.configure(_zone_spec(params)))


def _no_zone(sled: Any, params: Order) -> None:  # noqa: ANN401 - as above
    sled.sled.zones.remove(_zone_spec(params).name)


def _last(sled: Any) -> Any:  # noqa: ANN401 - as above
    return sled.do()


def _nothing_left(sled: Any) -> None:  # noqa: ANN401 - as above
    sled.undo()
