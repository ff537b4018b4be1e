"""Keys are derived, never kept: the same for the same disk and secret, and gone from the sled after use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sledsaga.errors import NotFound, Transient, Unparsable
from sledsaga.hosts.keys import (
    KEY_DIR,
    Keys,
    SecretFile,
    Secrets,
    disk_key,
    hkdf,
    parse_secrets,
    secrets_document,
    trial_epochs,
)
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import DiskIdentity

DISK = DiskIdentity("1b96", "WUS4C6432DSP3X3", "A084A5E3")
SECRETS = Secrets("rack", {0: b"a" * 32, 2: b"b" * 32})
BLOCK_BYTES = 136
"""The rate of SHA3-256, which is the block size of an HMAC over it."""


@dataclass(frozen=True)
class Given:
    """A source that has its secrets."""

    secrets: Secrets = SECRETS

    def load(self) -> Secrets:
        return self.secrets


def hmac_by_definition(key: bytes, message: bytes) -> bytes:
    """HMAC as RFC 2104 defines it, written without the hmac module."""
    key = hashlib.sha3_256(key).digest() if len(key) > BLOCK_BYTES else key
    key = key.ljust(BLOCK_BYTES, b"\0")
    inner = hashlib.sha3_256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha3_256(bytes(byte ^ 0x5C for byte in key) + inner).digest()


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=50), st.integers(1, 100))
def test_hkdf_is_that_of_the_rfc(secret: bytes, salt: bytes, info: bytes, length: int) -> None:
    """HKDF gives what RFC 5869 says, computed by its definition, for any length and without a salt too."""
    extracted = hmac_by_definition(salt or bytes(32), secret)
    blocks = [b""]
    for counter in range(1, 5):
        blocks.append(hmac_by_definition(extracted, blocks[-1] + info + bytes([counter])))
    assert hkdf(secret, salt=salt, info=info, length=length) == b"".join(blocks)[:length]


@pytest.mark.parametrize(
    ("salt", "info", "expected"),
    [
        (
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "0c5160501d65021deaf2c14f5abce04c5bd2635abceeba61c2edb6e8ed72674900557728f2c9f2c4c179",
        ),
        (
            "",
            "",
            "bc1342cdd75c05e8b0c3ae609ce4410684d197232875073499b30cdfe2de2853c1c1bed63d725e885e78",
        ),
    ],
)
def test_hkdf_gives_what_openssl_gives(salt: str, info: str, expected: str) -> None:
    """The inputs of RFC 5869's first and third cases, over SHA3-256, give what OpenSSL 3.0.19 gave."""
    derived = hkdf(b"\x0b" * 22, salt=bytes.fromhex(salt), info=bytes.fromhex(info), length=42)
    assert derived.hex() == expected


def test_a_disk_s_key_is_what_openssl_derives() -> None:
    """The key of one disk, its salt and info put together as documented, is what OpenSSL 3.0.19 gave."""
    key = disk_key(SECRETS.by_epoch[0], rack_id=SECRETS.rack_id, disk=DISK)
    assert key.hex() == "fa98484f52608bd5699497d870cafe0d04033008234fa1eb8025d6a14280f09c"


def test_a_key_belongs_to_one_disk_and_one_secret() -> None:
    """The same inputs give the same key; another disk, secret or rack gives another."""
    key = disk_key(b"s" * 32, rack_id="r", disk=DISK)
    others = {
        disk_key(b"t" * 32, rack_id="r", disk=DISK),
        disk_key(b"s" * 32, rack_id="q", disk=DISK),
        disk_key(b"s" * 32, rack_id="r", disk=replace(DISK, serial="A084A5E4")),
    }
    assert key == disk_key(b"s" * 32, rack_id="r", disk=DISK)
    assert len(key) == 32
    assert len(others | {key}) == 4


def test_epochs_are_tried_from_the_latest() -> None:
    """A recorded epoch is the only one to try; without a record all known ones are, the latest first."""
    assert trial_epochs(1, (0, 3)) == (1,)
    assert trial_epochs(None, (0, 2, 3)) == (3, 2, 0)


def test_secrets_round_trip() -> None:
    """Secrets are read back as they were written, and do not show in their text."""
    assert parse_secrets(secrets_document(SECRETS)) == SECRETS
    assert "aaaa" not in repr(SECRETS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"rack_id": "r"}',
        b'{"rack_id": "r", "secrets": {}}',
        b'{"rack_id": "r", "secrets": {"0": "beef"}}',
        b'{"rack_id": "r", "secrets": {"-1": "' + b"be" * 32 + b'"}}',
    ],
)
def test_unreadable_secrets_are_not_shown(data: bytes) -> None:
    """What are no secrets is an error that does not repeat what was there."""
    with pytest.raises(Unparsable, match="cannot be read") as caught:
        parse_secrets(data)
    assert "beef" not in str(caught.value)


def test_keys_wait_for_their_secrets(tmp_path: Path) -> None:
    """A missing secret file means "not yet"; when it is there, keys can be had; an unknown epoch cannot."""
    path = tmp_path / "secrets.json"
    keys = Keys(LocalHost(), SecretFile(LocalHost(), str(path)))
    with pytest.raises(Transient, match="no secrets yet"):
        keys.latest_epoch()
    path.write_bytes(secrets_document(SECRETS))
    assert keys.latest_epoch() == 2
    assert keys.key(DISK, epoch=0) != keys.key(DISK, epoch=2)
    with pytest.raises(NotFound, match=r"no secret of epoch 1; known epochs: \[0, 2\]"):
        keys.key(DISK, epoch=1)


def test_a_key_file_is_named_after_its_disk() -> None:
    """The file's name tells the disk by vendor, serial and model."""
    path = Keys(LocalHost(), Given()).path(DISK)
    assert path == f"{KEY_DIR}/1b96-A084A5E3-WUS4C6432DSP3X3-zfs-aes-256-gcm.key"
