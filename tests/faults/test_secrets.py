"""No secret is ever written but into its key file, and that is gone when its use is over, kill or not."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from loguru import logger

from sledsaga.check.kills.ground import Ground
from sledsaga.check.subject import Subject
from sledsaga.engine.crashpoints import COMMANDS
from sledsaga.hosts.keys import SECRET_FILE, Keys, SecretFile, disk_key
from sledsaga.hosts.names import DiskIdentity
from sledsaga.hosts.sim import Fault, SimHost, SimSled
from sledsaga.wiring import open_engine
from tests.faults.scenarios import DISK, POOL
from tests.faults.variants import failing

LEAST = 8
"""The key is written, used and erased: that many points at least."""


def forms(data: bytes) -> Iterator[bytes]:
    """Yield the ways in which bytes may stand in a file or a line."""
    yield from (data, data.hex().encode(), data.hex().upper().encode())
    yield from (base64.b64encode(data).rstrip(b"="), base64.urlsafe_b64encode(data).rstrip(b"="))
    yield from (repr(data).encode()[2:-1], str(list(data)).encode())


def needles(host: SimHost) -> list[bytes]:
    """Return the rack's secret and the disk's key in all their forms."""
    secrets = SecretFile(host).load()
    key = disk_key(secrets.by_epoch[0], rack_id=secrets.rack_id, disk=DiskIdentity(**DISK))
    assert key == Keys(host, SecretFile(host)).key(DiskIdentity(**DISK), epoch=0)
    return [*forms(secrets.by_epoch[0]), *forms(key)]


def found_in(folder: Path, wanted: list[bytes]) -> list[str]:
    """Return the files below a folder that hold one of the needles; the secrets' own file may."""
    files = [file for file in folder.rglob("*") if file.is_file() and not str(file).endswith(SECRET_FILE)]
    searched = {file.name.removesuffix("-wal") for file in files if POOL.encode() in file.read_bytes()}
    assert {"log.db", "sled.db"} <= searched, "what is not secret is not found either"
    return [str(file) for file in files for data in [file.read_bytes()] if any(one in data for one in wanted)]


@pytest.mark.parametrize("fault", [None, "create"])
def test_no_secret_is_written(subjects: Callable[[str], Subject], tmp_path: Path, fault: str | None) -> None:
    """Neither log, journal, diagnostics nor any file holds a secret, also when its use has failed."""
    subject = subjects("crdb-on-blank-disk")
    assert subject.sled is not None
    shutil.copytree(subject.sled, tmp_path / "sled")
    fails = failing(subject.operation)
    sim = SimSled.open(tmp_path / "sled")
    if fault is not None:
        sim.inject(Fault("error", ("zfs",), pattern=f"^zfs {fault} .*/crypt$", times=0))
    lines: list[str] = []
    sink = logger.add(lines.append, level="TRACE")
    logger.enable("sledsaga")
    try:
        db, sled = f"sqlite:///{tmp_path}/log.db", f"sim:{tmp_path}/sled"
        with open_engine(db=db, sled=sled, operations=[fails]) as engine:
            for operation in (subject.operation, fails):
                engine.wait(engine.submit(operation.name, subject.params_in(tmp_path)).id, 60.0)
                assert found_in(tmp_path, needles(sim.host)) == []
    finally:
        logger.disable("sledsaga")
        logger.remove(sink)
        sim.close()
    said = "".join(lines).encode()
    assert not any(one in said for one in needles(sim.host))


@pytest.mark.parametrize("name", ["crdb-on-bare-pool", "crdb-on-blank-disk"])
def test_a_key_does_not_outlive_a_kill(
    ground_of: Callable[[str], AbstractContextManager[Ground]], name: str
) -> None:
    """Killed around any change of the step that uses the key, the next process erases its file."""
    with ground_of(name) as ground:
        with ground.trial() as trial:
            kills = [each.kill for each in trial.run().passings if each.step == "crypt"]
        assert len([kill for kill in kills if kill.point in COMMANDS]) >= LEAST
        for kill in kills:
            with ground.trial() as trial:
                assert trial.run(kill).killed, f"{kill} was never passed"
                ran = trial.run()
                assert (ran.state, ran.picture["keys"]) == ("succeeded", []), kill
