"""A laboratory for operations: simulated sleds to copy, an engine in memory, steps that fail on command."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import sagas
from sledsaga.core.define import ONCE, Operation, Step
from sledsaga.core.view import SagaView
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.illumos.platform import ILLUMOS
from sledsaga.hosts.keys import KEY_BYTES, SECRET_FILE, Secrets, secrets_document
from sledsaga.hosts.platform import Platform
from sledsaga.hosts.sim import DiskSpec, SimSled
from sledsaga.hosts.sim.host import SimHost
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.memory import MemoryStore

DOCUMENTS = Path(__file__).parents[3] / "shared" / "data"
SAGA = "0197a000-0000-7000-8000-0000000000{:02}"
SOON_S = 60.0
NAMES = ("cockroachdb", "crucible", "internal_dns", "nexus", "ntp", "clickhouse", "external_dns")
HASHES = ("aa" * 32, "bb" * 32)
POOLS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
ZONES = {
    "internal_ntp": "a0000000-0000-4000-8000-000000000001",
    "internal_dns": "a0000000-0000-4000-8000-000000000002",
    "cockroach_db": "a0000000-0000-4000-8000-000000000003",
    "nexus": "a0000000-0000-4000-8000-000000000004",
}
Change = Callable[[Step], Step]
Told = Callable[[HostCommand], None]


@dataclass
class Lab:
    """One simulated sled, and what it takes to run operations on it."""

    sim: SimSled
    before: Told | None = None
    after: Told | None = None
    runs: int = 0
    views: list[SagaView] = field(default_factory=list)
    platform: Platform = ILLUMOS

    def move_to(self, sim: SimSled) -> None:
        """Go on with another sled."""
        self.sim.close()
        self.sim = sim

    def run(self, name: str, params: Mapping[str, Any], *, change: Change | None = None) -> SagaView:
        """Run an operation to rest, each step changed."""
        operation = changed(operation_of(name), change)
        with Engine(MemoryStore(), Catalog([operation]), sled=self.sled) as engine:
            self.runs += 1
            saga = engine.submit(name, params, id=SAGA.format(self.runs)).id
            view = engine.wait(saga, SOON_S)
            self.views.append(view)
        return view

    def sled(self, context: Context) -> Sled:
        host = StepHost(self.sim.host, context.cancelled, context.deadline, self.before, self.after)
        return Sled(host, context.saga, context.pause, platform=self.platform)

    def probed(self, name: str, params: Mapping[str, Any]) -> dict[str, str | None]:
        """Return what a plan shows of each step, by its path."""
        with Engine(MemoryStore(), Catalog([operation_of(name)]), sled=self.sled, drive=False) as engine:
            shown = engine.preview(name, params)
        return dict(zip((step.path for step in shown.plan.dag.steps), shown.probes, strict=True))

    def seen(self) -> str:
        """Return all of the sled as one text."""
        return json.dumps(self.sim.describe(), sort_keys=True, indent=1)


def give_secrets(path: Path, *epochs: int) -> None:
    """Give a sled the secrets of some epochs; that of epoch 0 is the one that it was made with."""
    secrets = {epoch: bytes(range(epoch, epoch + KEY_BYTES)) for epoch in epochs}
    with SimHost(path) as host:
        host.write_file(SECRET_FILE, secrets_document(Secrets("simulated rack", secrets)))


def operation_of(name: str) -> Operation:
    return next(each for each in sagas.CATALOG if each.name == name)


def changed(operation: Operation, change: Change | None) -> Operation:
    """Return the operation with each step changed; none of them waits long."""
    if change is None:
        return operation

    def steps(params: Any) -> list[Any]:
        made = operation.steps(params) if callable(operation.steps) else operation.steps
        return [change(step) for step in made]  # type: ignore[arg-type] # ours nest nothing

    return replace(operation, steps=steps)


def wrapped(do: Callable[..., Any], act: Callable[[Callable[[], Any]], Any]) -> Callable[..., Any]:
    """Return the function with the same inputs, called by `act`, which is given the bare call."""

    @functools.wraps(do)
    def call(**inputs: Any) -> Any:
        return act(lambda: do(**inputs))

    return call


def once_only(step: Step) -> Step:
    return replace(step, retry=ONCE, undo_retry=ONCE)


@pytest.fixture(scope="session")
def yard() -> Iterator[Path]:
    """Keep sleds on a disk that does not wait for itself: what is tested here is not its durability."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder below it has a name of its own
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def library() -> dict[str, Any]:
    """Parts for tests that build their own: documents, params, wrappers."""
    return {
        "document": document,
        "provision": PROVISION,
        "format": FORMAT,
        "ensure": ENSURE,
        "rotate": ROTATE,
        "give_secrets": give_secrets,
        "wrapped": wrapped,
        "once_only": once_only,
        "operation_of": operation_of,
    }


@pytest.fixture(scope="session")
def sleds(yard: Path) -> Callable[[str], Path]:
    """Return the folder of a sled that is made once: `blank`, `formatted`, `two epochs` or `applied`."""
    lock = threading.Lock()

    @functools.cache
    def make(kind: str) -> Path:
        path = yard / kind
        if kind == "blank":
            disks = [DiskSpec("1b96", "WUS4", serial) for serial in ("A0", "A1")]
            images = dict.fromkeys(NAMES, b"image")
            SimSled.init_from_disks(
                path, disks, images=images, artifacts=dict.fromkeys(HASHES, b"image")
            ).close()
            return path
        if kind == "two epochs":
            shutil.copytree(make("formatted"), path)
            give_secrets(path, 0, 1)
            return path
        shutil.copytree(make("blank"), path)
        lab = Lab(SimSled.open(path), runs=90)
        done = (
            [lab.run("format-u2", FORMAT)]
            if kind == "formatted"
            else [lab.run("apply-sled-config", document())]
        )
        lab.sim.close()
        assert [view.state for view in done] == ["succeeded"], [
            f"{step.path}: {step.error}" for view in done for step in view.steps if step.error
        ]
        return path

    def locked(kind: str) -> Path:
        with lock:
            return make(kind)

    return locked


@pytest.fixture
def labs(yard: Path, sleds: Callable[[str], Path]) -> Iterator[Callable[[str], Lab]]:
    """Make labs on fresh copies of a sled."""
    made: list[Lab] = []

    def make(kind: str) -> Lab:
        path = Path(tempfile.mkdtemp(dir=yard)) / "sled"
        shutil.copytree(sleds(kind), path)
        lab = Lab(SimSled.open(path))
        made.append(lab)
        return lab

    yield make
    for lab in made:
        lab.sim.close()
        shutil.rmtree(lab.sim.path.parent)


@pytest.fixture
def production() -> dict[str, Any]:
    return real_document("omicron-sled-config-v14.json")


@pytest.fixture
def older() -> dict[str, Any]:
    return real_document("omicron-zones-madrid-sled14.json")


def real_document(name: str) -> dict[str, Any]:
    path = DOCUMENTS / name
    if not path.exists():
        pytest.skip(f"{name} is not at hand")
    return json.loads(path.read_text())


FORMAT = {"disk": {"vendor": "1b96", "model": "WUS4", "serial": "A0"}, "pool_id": POOLS[0]}
PROVISION = {
    "pool": f"oxp_{POOLS[0]}",
    "zone_id": ZONES["cockroach_db"],
    "address": "fd00:1122:3344:101::3",
    "quota": 10 * 2**30,
}
ENSURE = {
    "datasets": [
        {"pool": f"oxp_{POOLS[0]}", "kind": "crucible", "id": "b0000000-0000-4000-8000-000000000001"},
        {"pool": f"oxp_{POOLS[0]}", "kind": "local_storage", "quota": 2**30, "compression": "lz4"},
        {"pool": f"oxp_{POOLS[0]}", "kind": f"zone/oxz_nexus_{ZONES['nexus']}"},
        {"pool": f"oxp_{POOLS[0]}", "kind": "debug", "quota": 2**31, "compression": "gzip-9"},
        {"pool": f"oxp_{POOLS[0]}", "kind": "zone"},
    ]
}


ROTATE = {"pools": [f"oxp_{POOLS[0]}"]}


def document(generation: int = 1) -> dict[str, Any]:
    """Return a small sled config: two disks, four zones; those of a higher generation lack CockroachDB."""
    types = [each for each in ZONES if generation == 1 or each != "cockroach_db"]
    zones = {ZONES[each]: _zone(each, number, generation) for number, each in enumerate(types, 3)}
    disks = [_disk(number) for number in range(2)]
    return {
        "generation": generation,
        "disks": {disk["id"]: disk for disk in disks},
        "datasets": {one["id"]: one for one in _datasets(types)},
        "zones": zones,
        "remove_mupdate_override": None,
        "host_phase_2": {"slot_a": {"type": "current_contents"}},
        "kept": {"as": ["it", "came"]},
    }


def _disk(number: int) -> dict[str, Any]:
    identity = {"vendor": "1b96", "model": "WUS4", "serial": f"A{number}"}
    return {
        "identity": identity,
        "id": f"c0000000-0000-4000-8000-00000000000{number}",
        "pool_id": POOLS[number],
    }


def _datasets(types: list[str]) -> Iterator[dict[str, Any]]:
    prefixes = {"internal_ntp": "ntp", "cockroach_db": "cockroachdb"}
    roots = [f"zone/oxz_{prefixes.get(each, each)}_{ZONES[each]}" for each in ZONES]
    unwanted = set() if "cockroach_db" in types else {"cockroachdb", roots[2]}
    for number, kind in enumerate(["zone", "debug", "crucible", "internal_dns", "cockroachdb", *roots]):
        if kind in unwanted:
            continue
        quota = 2**33 if kind in ("debug", "cockroachdb") else None
        packing = {"type": "gzip_n", "level": 9} if kind == "debug" else {"type": "off"}
        yield {
            "id": f"d0000000-0000-4000-8000-0000000000{number:02}",
            "name": {"pool_name": f"oxp_{POOLS[0]}", "kind": kind},
            "compression": packing,
            "quota": quota,
            "reservation": None,
        }


def _zone(kind: str, number: int, generation: int) -> dict[str, Any]:
    pool = f"oxp_{POOLS[0]}"
    where: dict[str, Any] = {"address": f"[fd00:1122:3344:101::{number}]:{32000 + number}"}
    if kind == "nexus":
        where = {"internal_address": where["address"]}
    if kind == "internal_dns":
        where = {"http_address": where["address"], "gz_address": "fd00:1122:3344:1::2", "gz_address_index": 0}
    own = {"dataset": {"pool_name": pool}} if kind in ("internal_dns", "cockroach_db") else {}
    image = {"type": "install_dataset"}
    if kind == "nexus":
        image = {"type": "artifact", "hash": HASHES[min(generation, 2) - 1]}
    return {
        "id": ZONES[kind],
        "filesystem_pool": pool,
        "zone_type": {"type": kind, **where, **own},
        "image_source": image,
    }
