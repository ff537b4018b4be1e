"""The lines that sequences are made of: likely ones and wrong ones, from few names, so that they meet.

A line is words parted by blanks, as one would type it. Beside `zpool` and `zfs` there are `write PATH KIB`,
`mkdir PATH` and `rm PATH`. All chance comes from the generator that is given, so a seed is a sequence.

Not in the alphabet, because the simulated sled does not interpret it and no driver runs it: rollback, clone,
promote, hold, release, send, receive, scrub, history, upgrade, `copies` above 1 (which doubles sizes).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

POOLS: Final = ("pa", "pb")
PARTS: Final = ("x", "y", "z")
WRONG_NAMES: Final = (
    *("pa/", "pa//x", "pa/x@", "9p", "pa/sp%ce", "nosuch", "nosuch/x", "pa/x/y/z/w", "pa/x@s@t"),
    *("pa/" + "n" * 260, "pa/x/", "pa/X-1:2.3_", "pa@s/x", "mirror"),
)
PATHS: Final = ("ROOT/m1", "ROOT/m2", "ROOT/m1/in", "ROOT/pa/x", "ROOT/pa/deep")
WRONG_PATHS: Final = ("m1", "", "ROOT/m1/", "nowhere/else")
SETTINGS: Final = {
    "quota": ("2M", "8M", "1G", "none", "0", "16384", "lots", "-1"),
    "reservation": ("1M", "8M", "1G", "none", "0", "x"),
    "refquota": ("4M", "none", "16K"),
    "compression": ("on", "off", "lzjb", "gzip-9", "gzip", "zle", "best", "gzip-10"),
    "canmount": ("on", "off", "noauto", "maybe"),
    "mountpoint": (*PATHS, *PATHS, "none", "none", "legacy", "m1"),
    "recordsize": ("128K", "4096", "1000"),
    "atime": ("on", "off", "maybe"),
    "readonly": ("off", "off", "perhaps"),
    "copies": ("1", "4"),
    "checksum": ("on", "sha256", "md5"),
    "exec": ("on", "off"),
    "oxide:uuid": ("1", "two", ""),
    "sledsaga:saga": ("s1", "s2"),
    "used": ("1",),
    "type": ("volume",),
    "nosuch": ("1",),
    "volsize": ("1M",),
}
LIKELY: Final = (
    "quota",
    "reservation",
    "compression",
    "canmount",
    "mountpoint",
    "oxide:uuid",
    "sledsaga:saga",
)
POOL_SETTINGS: Final = {
    "failmode": ("wait", "continue", "panic", "never"),
    "autoreplace": ("on", "off", "maybe"),
    "delegation": ("on", "off"),
    "listsnapshots": ("on", "off"),
    "nosuch": ("1",),
    "health": ("ONLINE",),
    "size": ("1G",),
}
FILES: Final = ("f", "g", "sub/f")
SIZES_KIB: Final = (1, 100, 700, 3000, 6000)


class Chooser:
    """What a sequence has named so far, and chance."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._named: list[str] = ["pa"]
        self._snapshots: list[str] = []

    def one(self, *choices: str) -> str:
        """Choose one."""
        return self.random.choice(choices)

    def often(self, percent: int) -> bool:
        """Say yes this often."""
        return self.random.randrange(100) < percent

    def pool(self) -> str:
        """Choose a pool's name, rarely a wrong one."""
        return self.one(*WRONG_NAMES) if self.often(4) else self.one("pa", "pa", "pa", "pb")

    def dataset(self) -> str:
        """Choose a name that was given before, or could have been, rarely a wrong one."""
        if self.often(5):
            return self.one(*WRONG_NAMES)
        return self.one(*self._named) if self.often(75) else self.fresh()

    def fresh(self) -> str:
        """Choose a name, most often below one that was given before."""
        if self.often(5):
            return self.one(*WRONG_NAMES)
        above = self.one(*self._named) if self.often(85) else self.one(*POOLS)
        return f"{above}/{self.one(*PARTS)}"

    def snapshot(self) -> str:
        """Choose a snapshot's name."""
        if self._snapshots and self.often(70):
            return self.one(*self._snapshots)
        return f"{self.dataset()}@{self.one('s', 't')}"

    def named(self, name: str) -> str:
        """Remember a name."""
        (self._snapshots if "@" in name else self._named).append(name)
        return name

    def setting(self) -> str:
        """Choose a property and a value."""
        key = self.one(*LIKELY) if self.often(75) else self.one(*SETTINGS)
        return f"{key}={self.one(*SETTINGS[key])}"

    def path(self) -> str:
        """Choose a place for a file or a folder."""
        top = self.one(*PATHS) if self.often(25) else "ROOT/" + self.one(*self._named)
        return f"{top}/{self.one(*FILES)}"


def zpool_create(choose: Chooser) -> str:
    """Make a pool, where its mountpoint is below our folder."""
    name = choose.named(choose.pool())
    root = choose.one("-m ROOT/{0}", "-m ROOT/{0}", "-O mountpoint=ROOT/{0}", "-m none", "-m legacy")
    more = choose.one("", "", "-f", "-O " + _safe(choose), "-o " + _pool_setting(choose), "-n", "-z")
    disks = choose.one("DISK0", "DISK0", "DISK1", "DISK2", "DISK3", "DISK0", "")
    return _line(
        "zpool create -o ashift=12", root.format(name.replace("/", "_").replace("@", "_")), more, name, disks
    )


def _safe(choose: Chooser) -> str:
    pair = choose.setting()
    return pair if not pair.startswith("mountpoint") else "atime=off"


def _pool_setting(choose: Chooser) -> str:
    key = choose.one(*POOL_SETTINGS)
    return f"{key}={choose.one(*POOL_SETTINGS[key])}"


def zpool_change(choose: Chooser) -> str:
    """Destroy, export, import or set."""
    name = choose.pool()
    return choose.one(
        f"zpool destroy {name}",
        f"zpool destroy -f {name}",
        f"zpool export {name}",
        f"zpool export {name}",
        f"zpool import -d DISKS {name}",
        f"zpool import -d DISKS {name}",
        f"zpool import -d DISKS -f {name}",
        f"zpool set {_pool_setting(choose)} {name}",
        f"zpool set {_pool_setting(choose)} {name}",
        f"zpool set failmode {name}",
        f"zpool {choose.one('destroy', 'export', 'set', 'frobnicate', 'destroy -x')}",
    )


def zpool_look(choose: Chooser) -> str:
    """List or get."""
    name = choose.pool()
    return choose.one(
        "zpool list -H -o name,health",
        f"zpool list -H -o name,health {name}",
        f"zpool list -H -o nosuch {name}",
        "zpool import -d DISKS",
        f"zpool status -x {name}",
    )


def zfs_create(choose: Chooser) -> str:
    """Make a filesystem."""
    pairs = [f"-o {choose.setting()}" for _ in range(choose.random.choice((0, 0, 1, 1, 2, 3)))]
    flags = choose.one("", "", "", "", "-p", "-p", "-q", "-o", "-o novalue")
    return _line("zfs create", flags, *pairs, choose.named(choose.fresh()))


def zfs_destroy(choose: Chooser) -> str:
    """Destroy a filesystem or a snapshot."""
    name = choose.snapshot() if choose.often(30) else choose.dataset()
    return _line(
        "zfs destroy", choose.one("", "", "", "-r", "-r", "-f", "-x"), name, choose.one(*[""] * 9, "pa/x")
    )


def zfs_set(choose: Chooser) -> str:
    """Set a property."""
    name = choose.snapshot() if choose.often(5) else choose.dataset()
    if choose.often(6):
        return choose.one(
            "zfs set", f"zfs set {name}", f"zfs set quota {name}", f"zfs set =1 {name}", "zfs set quota=1G"
        )
    return f"zfs set {choose.setting()} {name}"


def zfs_inherit(choose: Chooser) -> str:
    """Forget a local setting; the mountpoint of a pool stays, or it would leave our folder."""
    name = choose.dataset()
    key = choose.one(*LIKELY) if choose.often(80) else choose.one(*SETTINGS, "mounted")
    if key == "mountpoint" and "/" not in name:
        key = "compression"
    return _line("zfs inherit", choose.one("", "", "", "-r", "-q"), key, name)


def zfs_mount(choose: Chooser) -> str:
    """Mount or unmount."""
    name = choose.snapshot() if choose.often(5) else choose.dataset()
    return choose.one(
        *[f"zfs mount {name}"] * 4,
        *[f"zfs unmount {name}"] * 4,
        "zfs mount -a",
        "zfs unmount -x",
        "zfs unmount",
        "zfs mount",
        f"zfs umount {choose.one(*PATHS)}",
        f"zfs unmount -f {name}",
        f"zfs mount {name} pa",
    )


def zfs_snapshot(choose: Chooser) -> str:
    """Snapshot."""
    name = choose.named(f"{choose.dataset()}@{choose.one('s', 't')}")
    flags = choose.one("", "", "", "-r", "-o oxide:uuid=9", "-o quota=1G", "-q")
    return _line("zfs snapshot", flags, choose.one(*[name] * 9, name.partition("@")[0]))


def zfs_rename(choose: Chooser) -> str:
    """Rename a filesystem or a snapshot."""
    if choose.often(25):
        old = choose.snapshot()
        return f"zfs rename {old} {choose.named(old.partition('@')[0] + '@' + choose.one('s', 't', 'u'))}"
    return _line(
        "zfs rename", choose.one("", "", "", "", "-p", "-q"), choose.dataset(), choose.named(choose.fresh())
    )


def zfs_look(choose: Chooser) -> str:
    """List or get."""
    name = choose.snapshot() if choose.often(20) else choose.dataset()
    keys = ",".join(choose.random.sample(("type", "mounted", "mountpoint", *LIKELY, "nosuch", "name"), 2))
    return choose.one(
        f"zfs get -Hp -o name,property,value,source {keys} {name}",
        f"zfs get -Hp -o name,property,value,source {keys} {name} nosuch/x",
        f"zfs get -rHp -o name,property,value,source {keys} {name}",
        f"zfs get -d 1 -Hp -o name,value -s local {keys} {name}",
        f"zfs get -Hp -o name,value -d 1 {keys} {name}",
        f"zfs get -Hp -o what {keys} {name}",
        f"zfs list -H -o name,type {name}",
        f"zfs list -rH -o name,mountpoint -t filesystem,snapshot {name}",
        f"zfs list -H -d 1 -o name -t snapshot {name}",
        f"zfs list -H -o name,quota,compression -t filesystem {name}",
        f"zfs list -H -o nosuch {name}",
        f"zfs list -H -t nosuch {name}",
        "zfs list -H -o name,mounted",
        "zfs frobnicate",
        "zfs",
    )


def file_change(choose: Chooser) -> str:
    """Write, make a folder, or remove."""
    path = choose.path()
    size = choose.random.choice(SIZES_KIB)
    return choose.one(f"write {path} {size}", f"write {path} {size}", f"mkdir {path}", f"rm {path}")


WEIGHTS: Final[dict[Callable[[Chooser], str], int]] = {
    zpool_create: 4,
    zpool_change: 7,
    zpool_look: 2,
    zfs_create: 20,
    zfs_destroy: 10,
    zfs_set: 16,
    zfs_inherit: 6,
    zfs_mount: 9,
    zfs_snapshot: 5,
    zfs_rename: 6,
    zfs_look: 8,
    file_change: 12,
}


def sequence(random: Random, length: int) -> list[str]:
    """Make a sequence; most begin with a pool."""
    choose = Chooser(random)
    lines = [] if choose.often(8) else ["zpool create -o ashift=12 -m ROOT/pa pa DISK0"]
    kinds = random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length - len(lines))
    return lines + [kind(choose) for kind in kinds]


def _line(*words: str) -> str:
    return " ".join(word for word in words if word)
