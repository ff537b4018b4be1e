"""What boots the guest: disks it can use, modules in order, a command line, packages that are named."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.vm import recipe
from tests.vm.guest import make_disk, qemu_argv
from tests.vm.pack import leave_out, module_files
from tests.vm.project import distributions
from tests.vm.recipe import Built, Facts

FACTS = Facts("6.1.0-56-cloud-amd64", "2.1.11", recipe.recipe_digest(), 560.0, 366_313_472)


def test_a_disk_has_one_partition_for_zfs(tmp_path: Path) -> None:
    """The disk is sparse, and its one partition begins at 1 MiB and reaches to its end."""
    disk = make_disk(tmp_path / "disk.img", 64)
    sector = disk.read_bytes()[:512]
    kind, begins, sectors = sector[450], *struct.unpack_from("<II", sector, 454)
    assert (kind, begins, sectors, sector[510:]) == (0xBF, 2048, 64 * 2048 - 2048, b"\x55\xaa")
    assert disk.stat().st_blocks * 512 < 2**16


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    """What a module needs is loaded before it, once; what is built in is left out."""
    home = tmp_path / "lib/modules/6"
    home.mkdir(parents=True)
    (home / "modules.dep").write_text("a.ko: b.ko c.ko\nb.ko: c.ko\nc.ko:\nd-e.ko: c.ko\n")
    (home / "modules.builtin").write_text("kernel/fs/ext4.ko\n")
    found = module_files(tmp_path, "6", ["ext4", "a", "d_e"])
    assert [path.name for path in found] == ["c.ko", "b.ko", "a.ko", "d-e.ko"]


def test_what_is_left_out_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Folders, files and links go by their patterns, the target of a link and all else stays."""
    for name in ("usr/src/linux/file", "usr/lib/x/a.a", "usr/lib/x/a.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "vmlinuz.old").symlink_to("usr/lib/x/a.so")
    leave_out(tmp_path, ("usr/src", "usr/lib/*/*.a", "vmlinuz*"))
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir())
    assert left == ["usr/lib/x/a.so"]


def test_a_guest_is_found_by_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest of this recipe is found in the user's cache; one of another recipe is not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert recipe.find_guest() is None
    for digest in ("00000000", FACTS.recipe):
        facts = Facts(FACTS.kernel, FACTS.zfs, digest, 1.0, 1)
        folder = recipe.cache() / f"guest-{facts.key}"
        folder.mkdir(parents=True)
        Built(folder, facts).write()
    found = recipe.find_guest()
    assert found is not None
    assert found.facts.recipe == FACTS.recipe


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any tool, each package that brings one is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert recipe.missing_packages() == ["cpio", "debootstrap", "e2fsprogs", "qemu-system-x86"]


def test_only_disks_of_ours_are_written_to(tmp_path: Path) -> None:
    """Kernel, root and project are read-only for the guest; its disks are known by their serials."""
    argv = qemu_argv(Built(tmp_path, FACTS), tmp_path / "project", tmp_path, [tmp_path / "d"])
    drives = [word for word in argv if word.startswith("file=")]
    assert [drive.endswith("readonly=on") for drive in drives] == [True, True, False]
    assert "virtio-blk-pci,drive=disk0,serial=disk0" in argv


def test_the_guest_gets_what_its_tests_need() -> None:
    """The packages of the program and of its tests are there with all that they need, and no linter."""
    names = {found.metadata["Name"].lower() for found in distributions()}
    assert {"sledsaga", "sqlalchemy", "pydantic_core", "pytest", "hypothesis"} <= {
        name.replace("-", "_") for name in names
    }
    assert not names & {"mypy", "ruff"}
