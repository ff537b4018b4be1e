"""Keys of encrypted disks: derived from a secret and the disk's identity, and in a file only while in use.

Rules
- Key = HKDF-SHA3-256 (RFC 5869) of the epoch's secret, salted by the hash of the rack's id, for one
  disk. Same disk and epoch: same key. Nothing is drawn at random, so a crash loses nothing.
- The key file is on a volatile filesystem, is whole and durable before use, and is overwritten with
  zeros and unlinked when the use is over, also when it failed.
- No secret is written here in the program; wiring says where they are.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from sledsaga.errors import CommandFailed, ForeignObject, NotFound, Transient, Unparsable
from sledsaga.hosts.disks import Disks
from sledsaga.hosts.host import Host
from sledsaga.hosts.names import DiskIdentity

KEY_DIR = "/var/run/oxide"
KEY_BYTES = 32
SECRET_FILE = "/var/lib/sledsaga/secrets.json"  # noqa: S105 - a path, not a secret
_MAX_BLOCKS = 255
_END = "-zfs-aes-256-gcm.key"
_KEY_FILE = re.compile(rf"^\.?(.+{re.escape(_END)})(?:\.new)?$", re.DOTALL)
"""A key file, or the file beside it that becomes one when it is whole."""


def hkdf(secret: bytes, *, salt: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """Derive `length` bytes with HKDF over SHA3-256: extract, then expand."""
    digest_bytes = hashlib.sha3_256().digest_size
    assert 0 < length <= _MAX_BLOCKS * digest_bytes, f"HKDF cannot give {length} bytes"
    pseudorandom = hmac.digest(salt or bytes(digest_bytes), secret, "sha3_256")
    block, output = b"", b""
    for counter in range(1, -(-length // digest_bytes) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([counter]), "sha3_256")
        output += block
    return output[:length]


def disk_key(secret: bytes, *, rack_id: str, disk: DiskIdentity) -> bytes:
    """Derive the 32-byte key of one disk."""
    info = f"U.2-zfs-{disk.vendor}{disk.model}{disk.serial}".encode()
    return hkdf(secret, salt=hashlib.sha3_256(rack_id.encode()).digest(), info=info)


def trial_epochs(recorded: int | None, known: Iterable[int]) -> tuple[int, ...]:
    """Return the epochs whose keys may fit: the recorded one, or all that are known from the latest down."""
    return tuple(sorted(known, reverse=True)) if recorded is None else (recorded,)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a rack, by epoch."""

    rack_id: str
    by_epoch: Mapping[int, bytes] = field(repr=False)

    @property
    def latest(self) -> int:
        """The epoch that new keys are made of."""
        return max(self.by_epoch)


class SecretSource(Protocol):
    """Where secrets come from. They may be not there yet: early in a rack's boot nobody has them."""

    def load(self) -> Secrets:
        """Return the secrets. Raises Transient while they are not there, Unparsable."""
        ...


def parse_secrets(data: bytes) -> Secrets:
    """Read `{"rack_id": text, "secrets": {"<epoch>": hex}}`. Raises Unparsable, never with the text."""
    try:
        document = json.loads(data)
        by_epoch = {int(epoch): bytes.fromhex(text) for epoch, text in document["secrets"].items()}
        rack_id = str(document["rack_id"])
        rack_id.encode()  # it goes into every key, and a lone surrogate cannot
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        by_epoch, rack_id = {}, ""
    if (
        not by_epoch
        or not rack_id
        or min(by_epoch) < 0
        or any(len(key) != KEY_BYTES for key in by_epoch.values())
    ):
        raise Unparsable(
            f"the secrets ({len(data)} bytes) cannot be read; expected rack_id and secrets, "
            f"by epoch, of {KEY_BYTES} bytes in hex"
        )
    return Secrets(rack_id, by_epoch)


def secrets_document(secrets: Secrets) -> bytes:
    """Return the bytes that `parse_secrets` reads."""
    by_epoch = {str(epoch): secret.hex() for epoch, secret in sorted(secrets.by_epoch.items())}
    return json.dumps({"rack_id": secrets.rack_id, "secrets": by_epoch}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class SecretFile:
    """Secrets in a file of the sled, readable by root only."""

    host: Host
    path: str = SECRET_FILE

    def load(self) -> Secrets:
        """Read the file anew. Raises Transient while it is not there, Unparsable."""
        data = self.host.read_file(self.path)
        if data is None:
            raise Transient(f"no secrets yet: {self.path} is not there; it is read again at the next try")
        return parse_secrets(data)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one sled's disks."""

    host: Host
    source: SecretSource

    def epochs(self) -> tuple[int, ...]:
        """Return the epochs whose secrets are there, the latest last. Raises Transient while none is."""
        return tuple(sorted(self.source.load().by_epoch))

    def latest_epoch(self) -> int:
        """Return the epoch that new keys are made of. Raises Transient while there are no secrets."""
        return self.source.load().latest

    def path(self, disk: DiskIdentity) -> str:
        """Return where the key file of a disk is while its key is in use."""
        return f"{KEY_DIR}/{disk}{_END}"

    def key(self, disk: DiskIdentity, *, epoch: int) -> bytes:
        """Derive the key of a disk. Raises NotFound for an epoch without a secret, Transient."""
        secrets = self.source.load()
        if epoch not in secrets.by_epoch:
            raise NotFound(f"there is no secret of epoch {epoch}; known epochs: {sorted(secrets.by_epoch)}")
        return disk_key(secrets.by_epoch[epoch], rack_id=secrets.rack_id, disk=disk)

    @contextmanager
    def file(self, disk: DiskIdentity, *, epoch: int) -> Iterator[str]:
        """Have the key of a disk in its file while the block runs; it is erased whatever happens."""
        path, key = self.path(disk), self.key(disk, epoch=epoch)
        try:
            self.host.make_dir(KEY_DIR, mode=0o700)
            self.host.write_file(path, key, mode=0o600)
            yield path
        finally:
            self.host.erase_file(path)

    def left(self) -> tuple[str, ...]:
        """Return the paths of the key files that are there, also of those that were being written."""
        found = (_KEY_FILE.search(name) for name in self.host.list_dir(KEY_DIR))
        return tuple(sorted({f"{KEY_DIR}/{each[1]}" for each in found if each is not None}))

    def erase_left(self, disk: DiskIdentity) -> None:
        """Erase the key file of a disk that a killed run left behind, however far it had come."""
        if self.path(disk) in self.left():
            self.host.erase_file(self.path(disk))

    def erase_all(self) -> None:
        """Erase every key file, as is done after a crash: no key may outlive its use."""
        for path in self.left():
            self.host.erase_file(path)


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """The keys that may open the encryption root of a pool, whose disk is found by its label."""

    keys: Keys
    disks: Disks

    def of(self, pool: str, recorded: int | None) -> Iterator[bytes]:
        """Yield the key of the epoch that is recorded; without a record each, from the latest down.

        Raises ForeignObject when no disk carries the pool, NotFound, Transient, Unparsable (the secrets).
        """
        disk = next((disk for disk in self.disks.list() if self._carries(disk.path, pool)), None)
        if disk is None:
            raise ForeignObject(f"no disk of this sled is seen to carry {pool}")
        for epoch in trial_epochs(recorded, self.keys.epochs()):
            yield self.keys.key(disk.identity, epoch=epoch)

    def _carries(self, path: str, pool: str) -> bool:
        """Say whether a disk carries a pool; one that cannot be read, or carries something else, does not."""
        try:
            return self.disks.identify(path) == pool
        except (CommandFailed, ForeignObject):
            return False
