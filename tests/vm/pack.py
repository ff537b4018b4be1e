"""Packs a Debian root: an initramfs with what finds the root, and the root as a read-only file system."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.vm.recipe import EARLY_MODULES, INIT

ROOM_BYTES: Final = 48 * 2**20
"""What a file system needs beside its files; the image is sparse, so more costs nothing."""
FOLDERS: Final = ("project", "var/log", "var/cache", "var/lib/apt", "boot", "data")


def pack_initramfs(root: Path, release: str, target: Path) -> None:
    """Write an initramfs of busybox, the early modules and our init; plain, as unpacking costs more."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        for name in ("bin", "modules", "proc", "sys", "dev"):
            (stage / name).mkdir()
        shutil.copy(root / "bin/busybox", stage / "bin/busybox")
        modules = module_files(root, release, EARLY_MODULES)
        for module in modules:
            shutil.copy(module, stage / "modules")
        (stage / "modules/order").write_text("\n".join(module.name for module in modules) + "\n")
        (stage / "init").write_text(INIT)
        (stage / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(stage)) for path in sorted(stage.rglob("*")))
        with target.open("wb") as stream:
            argv = ("cpio", "--quiet", "-o", "-H", "newc")
            subprocess.run(argv, cwd=stage, input=names.encode(), stdout=stream, check=True)


def module_files(root: Path, release: str, names: Sequence[str]) -> list[Path]:
    """Return the files of modules and of all that they need, each after what it needs."""
    home = root / "lib/modules" / release
    needs = {}
    for line in (home / "modules.dep").read_text().splitlines():
        file, _, rest = line.partition(":")
        needs[file] = rest.split()
    files = {_name(file): file for file in needs}
    built_in = {_name(line) for line in (home / "modules.builtin").read_text().splitlines()}
    wanted = [files[name] for name in names if name not in built_in]
    ordered: dict[str, None] = {}
    for file in wanted:
        # modules.dep has the nearest first: what a module needs comes loaded from the far end
        ordered.update(dict.fromkeys([*reversed(needs[file]), file]))
    return [home / file for file in ordered]


def _name(file: str) -> str:
    return Path(file).name.partition(".")[0].replace("-", "_")


def keep_modules(root: Path, release: str, names: Sequence[str]) -> None:
    """Remove every module that is neither named nor needed by one that is; the index still fits the rest."""
    kept = set(module_files(root, release, names))
    for path in (root / "lib/modules" / release).rglob("*.ko*"):
        if path not in kept:
            path.unlink()


def leave_out(root: Path, patterns: Sequence[str]) -> None:
    """Remove what the patterns name below the root."""
    for path in [path for pattern in patterns for path in root.glob(pattern)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)


def pack_root(root: Path, target: Path) -> None:
    """Write a folder as an ext4 image without a journal: it is only ever read."""
    size = sum(_sizes(root)) + ROOM_BYTES
    with target.open("wb") as stream:
        stream.truncate(size // 2**20 * 2**20)
    argv = ("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", str(root), str(target))
    subprocess.run(argv, check=True)


def _sizes(root: Path) -> Iterator[int]:
    """Yield what each file and folder takes, in bytes, with its inode."""
    for path in root.rglob("*"):
        is_file = path.is_file() and not path.is_symlink()
        yield 512 + (-(-path.stat().st_size // 4096) * 4096 if is_file else 4096)
