"""The sled config that a document shows can be applied."""

from __future__ import annotations

from pathlib import Path

from sagas.steps.sled_config import read_config
from sledsaga.cli.inputs import read_document
from tests.docs.transcript import FILE

LINUX = Path(__file__).parent.parent.parent / "docs" / "linux.md"


def test_the_config_for_a_linux_sled_is_one(tmp_path: Path) -> None:
    """It is read without an error, and has one disk and the zone without which no other starts."""
    ((name, text),) = FILE.findall(LINUX.read_text(encoding="utf-8"))
    (tmp_path / name).write_text(text)
    config = read_config(read_document(str(tmp_path / name)))
    assert [pool.disk.serial for pool in config.pools if pool.disk] == ["SERIAL"]
    assert [zone.type for zone in config.zones] == ["internal_ntp"]
