"""The bundle of a zone: its OCI `config.json`, from what the zone is, its image and its machine. Pure.

- The root is read-only and holds only folders to mount on and small files for /etc; /usr is the machine's,
  read-only. What a zone may write is /data (its dataset), and /tmp, /run, /dev/shm in memory.
- It runs as its image's user, without capabilities, and can get none (`noNewPrivileges`); so a port below
  1024 is opened to it by a setting of its own network.
- Limits are set where the machine has the controllers for them, and left out where it has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sledsaga.hosts.linux.image import ZoneImage
from sledsaga.hosts.zone import STORE, ZoneFilesystem, ZoneSpec

OCI_VERSION: Final = "1.0.2"
OWNER_MARK, CONFIG_MARK = "org.sledsaga.saga", "org.sledsaga.config"
PORTS_MARK: Final = "org.sledsaga.ports"
ROOT: Final = "root"
"""The folder of the zone's root, in the bundle's own."""
SHARED: Final = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
"""What belongs to /usr on every Linux, and is a folder or a link into it."""
SAFE: Final = ("nosuid", "nodev")
PRIVILEGED_BELOW: Final = 1024
ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/run"}
"""What a service finds in its environment unless its image says otherwise."""
OPEN: Final = ("/tmp", "/run")  # noqa: S108 - a zone's own, in memory
"""Where anybody in the zone may write."""
_MEMORY: Final = (
    ("/dev", ("nosuid", "strictatime", "mode=755", "size=64k")),
    ("/dev/shm", (*SAFE, "noexec", "mode=1777")),  # noqa: S108 - a zone's own, in memory
    ("/tmp", (*SAFE, "mode=1777")),  # noqa: S108 - a zone's own, in memory
    ("/run", (*SAFE, "mode=1777")),
)
_MASKED: Final = ("/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug")
_READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Ground:
    """What the machine gives to one zone.

    `data` is where its dataset is mounted outside; `netns` the file of its network, None for a zone that has
    only itself to talk to; `group` its control group, None on a machine without; `shared` those of SHARED
    that the machine has.
    """

    saga: str
    fingerprint: str
    shared: tuple[str, ...]
    data: str | None = None
    netns: str | None = None
    group: str | None = None
    controllers: frozenset[str] = frozenset()


def bundle(spec: ZoneSpec, image: ZoneImage, ground: Ground, argv: tuple[str, ...] | None = None) -> bytes:
    """Return the `config.json` that runs the image's command, or another `argv`, as the zone."""
    document = {
        "ociVersion": OCI_VERSION,
        "hostname": spec.name,
        "root": {"path": ROOT, "readonly": True},
        "process": _process(image, argv or image.command),
        "mounts": [*_mounts(spec, ground)],
        "linux": _linux(image, ground),
        "annotations": {
            OWNER_MARK: ground.saga,
            CONFIG_MARK: ground.fingerprint,
            PORTS_MARK: " ".join(image.ports),
        },
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def folders(spec: ZoneSpec, image: ZoneImage, shared: tuple[str, ...]) -> tuple[str, ...]:
    """Return the folders that the root needs, parents first: what is mounted on, and what files are in."""
    named = ["/usr", "/etc", "/proc", "/dev", "/tmp", "/run", "/var", STORE, *shared]  # noqa: S108 - see above
    named += [filesystem.dir for filesystem in spec.filesystems]
    named += [file.rpartition("/")[0] for file in image.files]
    wanted = {parent for name in named for parent in _parents(name)}
    return tuple(sorted(wanted))


def etc_files(image: ZoneImage) -> dict[str, str]:
    """Return the small files of the root; the image's own win."""
    user = f"{image.user}:x:{image.uid}:{image.gid}:{image.user}:{STORE}:/usr/sbin/nologin\n"
    root = "" if image.uid == 0 else "root:x:0:0:root:/:/usr/sbin/nologin\n"
    return {
        "/etc/passwd": root + user,
        "/etc/group": f"{'' if image.gid == 0 else 'root:x:0:'}\n{image.user}:x:{image.gid}:\n".lstrip(),
        "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        **image.files,
    }


def _process(image: ZoneImage, argv: tuple[str, ...]) -> dict[str, Any]:
    environment = {**ENVIRONMENT, **image.environment}
    none: list[str] = []
    kinds = ("bounding", "effective", "inheritable", "permitted", "ambient")
    return {
        "terminal": False,
        "args": list(argv),
        "cwd": "/",
        "env": [f"{name}={value}" for name, value in sorted(environment.items())],
        "user": {"uid": image.uid, "gid": image.gid},
        "capabilities": dict.fromkeys(kinds, none),
        "noNewPrivileges": True,
        "rlimits": [
            {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
        ],
    }


def _mounts(spec: ZoneSpec, ground: Ground) -> Iterator[dict[str, Any]]:
    yield {"destination": "/proc", "type": "proc", "source": "proc", "options": [*SAFE, "noexec"]}
    for place in ("/usr", *ground.shared):
        yield _bind(place, place, "ro", *SAFE)
    for place, options in _MEMORY:
        yield {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": list(options)}
    if ground.data is not None:
        yield _bind(ground.data, STORE, "rw", *SAFE)
    for filesystem in spec.filesystems:
        yield _filesystem(filesystem)


def _filesystem(filesystem: ZoneFilesystem) -> dict[str, Any]:
    """Give the zone a folder of the machine; of its options only read-only means anything here."""
    way = "ro" if "ro" in filesystem.options else "rw"
    return _bind(filesystem.special, filesystem.dir, way, *SAFE)


def _bind(source: str, place: str, *options: str) -> dict[str, Any]:
    return {"destination": place, "type": "bind", "source": source, "options": ["rbind", *options]}


def _linux(image: ZoneImage, ground: Ground) -> dict[str, Any]:
    network = {"type": "network"} if ground.netns is None else {"type": "network", "path": ground.netns}
    linux: dict[str, Any] = {
        "namespaces": [*({"type": kind} for kind in ("pid", "ipc", "uts", "mount")), network],
        "maskedPaths": list(_MASKED),
        "readonlyPaths": list(_READ_ONLY),
    }
    lowest = min((int(port) for port in image.ports), default=PRIVILEGED_BELOW)
    if lowest < PRIVILEGED_BELOW:
        linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": str(lowest)}
    if ground.group is not None:
        linux["cgroupsPath"] = f"/{ground.group}"
        linux["resources"] = _resources(image, ground.controllers)
    return linux


def _resources(image: ZoneImage, controllers: frozenset[str]) -> dict[str, Any]:
    limits = {
        "memory": None if image.limits.memory is None else {"limit": image.limits.memory},
        "pids": None if image.limits.pids is None else {"limit": image.limits.pids},
    }
    return {name: limit for name, limit in limits.items() if limit is not None and name in controllers}


def _parents(path: str) -> Iterator[str]:
    parts = path.strip("/").split("/")
    yield from ("/" + "/".join(parts[: count + 1]) for count in range(len(parts)))
