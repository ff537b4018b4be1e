"""The root of a zone, below its zonepath: made from its image, and taken away without a trace.

    <zonepath>/made.json     what install is about to make, written before anything of it
    <zonepath>/root/         folders to mount on, and small files for /etc
    <zonepath>/image.json    the image itself: a zone boots without the place that it was installed from
    <zonepath>/installed     the fingerprint; written last, so without it the root is half made
    <zonepath>/profile.json  the profile, from `write_profile`
    <zonepath>/config.json   what the runtime was last told to run
    <zonepath>/log           all that the zone's processes have printed, across boots

Only these are removed, files by name and folders when empty: what anybody else has put there stays, and is
named in the error. The zonepath itself is its dataset's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final, Literal

from sledsaga.errors import HostError, Unparsable
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux import bundle
from sledsaga.hosts.linux.image import ZoneImage, parse_image
from sledsaga.hosts.zfs.mounts import DEAD
from sledsaga.hosts.zone import ZoneSpec

MADE, INSTALLED, IMAGE = "made.json", "installed", "image.json"
PROFILE, CONFIG, LOG = "profile.json", "config.json", "log"
LOG_BYTES: Final = 4 * 2**20
"""A log longer than this is begun anew at the next boot."""
OPEN_MODE: Final = 0o1777
"""Of folders that anybody may write; runc gives a mount in memory the mode of what it is mounted on."""
RootState = Literal["configured", "incomplete", "installed"]


@dataclass(frozen=True, slots=True)
class Roots:
    """The roots of zones on one machine."""

    host: Host

    def state(self, zonepath: str, fingerprint: str) -> RootState:
        """Say whether a root is there, half made, or whole and of this configuration.

        One on a mount whose server has gone is of no use, as if it were half made.
        """
        try:
            names = self.host.list_dir(zonepath)
        except HostError as error:
            if DEAD in str(error):
                return "incomplete"
            raise
        if INSTALLED in names:
            mark = (self.host.read_file(f"{zonepath}/{INSTALLED}") or b"").decode()
            return "installed" if mark == fingerprint else "incomplete"
        return "incomplete" if MADE in names else "configured"

    def install(self, spec: ZoneSpec, fingerprint: str) -> None:
        """Make the root of a zone, where there is none. Raises HostError, Unparsable."""
        data = self._image_bytes(spec)
        image = self._named(spec.image, data)
        self._refuse_missing(image)
        if self.host.stat(spec.path) is None:
            raise HostError(
                f"{spec.path} is not there; the dataset of the zone's root is mounted there first"
            )
        folders = bundle.folders(spec, image, self.shared())
        files = bundle.etc_files(image)
        made = {"folders": folders, "files": sorted(files)}
        self.host.write_file(f"{spec.path}/{MADE}", json.dumps(made, indent=1).encode() + b"\n")
        for folder in ("", *folders):
            mode = OPEN_MODE if folder in bundle.OPEN else 0o755
            self.host.make_dir(f"{spec.path}/{bundle.ROOT}{folder}", mode=mode)
        for path, text in files.items():
            self.host.write_file(f"{spec.path}/{bundle.ROOT}{path}", text.encode())
        self.host.write_file(f"{spec.path}/{IMAGE}", data)
        self.host.write_file(f"{spec.path}/{INSTALLED}", fingerprint.encode())

    def uninstall(self, zonepath: str) -> None:
        """Remove what `install` and the boots after it made. Raises ForeignObject when there is more."""
        self.host.remove_file(f"{zonepath}/{INSTALLED}")
        made = self._made(zonepath)
        for path in made["files"]:
            self.host.remove_file(f"{zonepath}/{bundle.ROOT}{path}")
        for path in (*sorted(made["folders"], reverse=True), ""):
            self.host.remove_dir(f"{zonepath}/{bundle.ROOT}{path}")
        for name in (IMAGE, PROFILE, CONFIG, LOG):
            self.host.remove_file(f"{zonepath}/{name}")
        self.host.remove_file(f"{zonepath}/{MADE}")

    def image(self, zonepath: str) -> ZoneImage:
        """Return the image that a zone was installed from. Raises HostError, Unparsable."""
        data = self.host.read_file(f"{zonepath}/{IMAGE}")
        if data is None:
            raise HostError(f"{zonepath}/{IMAGE} is not there; install the zone first")
        return self._named(f"{zonepath}/{IMAGE}", data)

    def write_files(self, zonepath: str, image: ZoneImage) -> None:
        """Write the small files of the root as they are with an image's words put in."""
        for path, text in image.files.items():
            place = f"{zonepath}/{bundle.ROOT}{path}"
            if self.host.read_file(place) != text.encode():
                self.host.write_file(place, text.encode())

    def shared(self) -> tuple[str, ...]:
        """Return those folders of the machine that belong to its /usr."""
        return tuple(path for path in bundle.SHARED if self.host.stat(path) is not None)

    def trim_log(self, zonepath: str) -> str:
        """Return the path of a zone's log, which is begun anew when it is too long."""
        path = f"{zonepath}/{LOG}"
        there = self.host.stat(path)
        if there is not None and there.size > LOG_BYTES:
            self.host.remove_file(path)
        return path

    def log_tail(self, zonepath: str, *, lines: int = 5) -> str:
        """Return the last lines of a zone's log, in one."""
        text = (self.host.read_file(f"{zonepath}/{LOG}") or b"").decode("utf-8", "replace")
        return " | ".join(text.splitlines()[-lines:]) or "(its log is empty)"

    def _image_bytes(self, spec: ZoneSpec) -> bytes:
        data = self.host.read_file(spec.image)
        if data is None:
            raise HostError(f"{spec.image} is not there; zone {spec.name} is installed from it")
        digest = hashlib.sha256(data).hexdigest()
        if spec.image_hash not in ("", digest):
            raise HostError(f"{spec.image} has the sha256 {digest}, expected {spec.image_hash}")
        return data

    def _named(self, path: str, data: bytes) -> ZoneImage:
        try:
            return parse_image(data)
        except Unparsable as error:
            raise Unparsable(f"{path}: {error}") from error

    def _refuse_missing(self, image: ZoneImage) -> None:
        missing = {path: package for path, package in image.needs.items() if self.host.stat(path) is None}
        if missing:
            raise HostError(
                f"image {image.name} needs {', '.join(missing)}, which this machine has not; "
                f"install {', '.join(sorted({*missing.values()}))}"
            )

    def _made(self, zonepath: str) -> dict[str, list[str]]:
        data = self.host.read_file(f"{zonepath}/{MADE}")
        if data is None:
            return {"files": [], "folders": []}
        try:
            made: dict[str, list[str]] = json.loads(data)
            return {"files": made["files"], "folders": made["folders"]}
        except (ValueError, KeyError, TypeError) as error:
            raise Unparsable(
                f"{zonepath}/{MADE} has {data[:60]!r}; expected what install has made"
            ) from error
