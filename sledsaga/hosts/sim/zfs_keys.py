"""Encryption keys: `zfs load-key`, `unload-key`, `change-key`, and what creating an encryption root needs.

Keys are raw and of 32 bytes; they come from a file below the sled's root, or from stdin (`prompt` and
`file:///dev/stdin`). The sled keeps a digest, so that a wrong key is told from the right one. What load-key
and unload-key refuse has exit code 255, as in OpenZFS.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from sledsaga.hosts import files
from sledsaga.hosts.sim.argv import Call, Options, Refusal, Reply, assignments, count, options
from sledsaga.hosts.sim.things import Dataset
from sledsaga.hosts.sim.zfs_props import encryption_root, is_mounted
from sledsaga.hosts.sim.zfs_show import opened

LOAD_USAGE = "load-key [-nr] [-L keylocation] <-a | filesystem|volume>"
UNLOAD_USAGE = "unload-key [-r] <-a | filesystem|volume>"
CHANGE_USAGE = "change-key [-l] [-o keyformat|keylocation|user:prop=<value>] ... <filesystem|volume>"
KEY_BYTES = 32
REFUSED = 255
STDIN = ("prompt", "file:///dev/stdin")


def zfs_load_key(call: Call, args: list[str]) -> Reply:
    """Load a key, or only try it (-n)."""
    opts = options(args, "nrL:a", LOAD_USAGE)
    if "a" in opts or "r" in opts:
        return _load_many(call, opts)
    count(opts.operands, 1, 1, LOAD_USAGE)
    root = _root(call, opts.operands[0], "Key load error")
    load_for(call, root, location=opts.last("L"), dry="n" in opts)
    return Reply()


def zfs_unload_key(call: Call, args: list[str]) -> Reply:
    """Unload a key. Refuses while a dataset that it opens is mounted."""
    opts = options(args, "ra", UNLOAD_USAGE)
    count(opts.operands, 1, 1, UNLOAD_USAGE)
    root = _root(call, opts.operands[0], "Key unload error")
    dataset = opened(call, root)
    if not dataset.loaded:
        raise Refusal(f"Key unload error: Key already unloaded for '{root}'.", REFUSED)
    held = [root, *call.tx.under(Dataset, f"{root}/")]
    if any(
        "@" not in each and encryption_root(call, each) == root and is_mounted(call, each) for each in held
    ):
        raise Refusal(f"Key unload error: '{root}' is busy.", REFUSED)
    call.tx.put(root, replace(dataset, loaded=False))
    return Reply()


def zfs_change_key(call: Call, args: list[str]) -> Reply:
    """Wrap the data in a new key from the key location and set user properties, all at once (illumos)."""
    opts = options(args, "lo:", CHANGE_USAGE)
    count(opts.operands, 1, 1, CHANGE_USAGE)
    props = assignments(opts.every("o"))
    root = _root(call, opts.operands[0], "Key change error")
    for key in props:
        if ":" not in key and key not in ("keyformat", "keylocation"):
            raise Refusal(
                f"Key change error: Only keyformat, keylocation and user properties may be set: '{key}'."
            )
    if "l" in opts and not opened(call, root).loaded:
        load_for(call, root)
    dataset = opened(call, root)
    if not dataset.loaded:
        raise Refusal("Key change error: Key must be loaded.")
    merged = {**dataset.props, **props}
    _format(merged, "Key change error")
    digest = digest_of(dataset.guid, read_key(call, merged["keylocation"], "Key change error"))
    call.tx.put(root, replace(dataset, props=merged, digest=digest))
    return Reply()


def load_for(call: Call, root: str, *, location: str = "", dry: bool = False) -> None:
    """Load the key of an encryption root from its key location. Refuses a wrong key."""
    dataset = opened(call, root)
    if dataset.loaded and not dry:
        raise Refusal(f"Key load error: Key already loaded for '{root}'.", REFUSED)
    key = read_key(call, location or dataset.props["keylocation"], "Key load error", REFUSED)
    if digest_of(dataset.guid, key) != dataset.digest:
        raise Refusal(f"Key load error: Incorrect key provided for '{root}'.", REFUSED)
    if not dry:
        call.tx.put(root, replace(dataset, loaded=True))


def sealed(call: Call, dataset: Dataset, refusal: str) -> Dataset:
    """Return a new dataset as an encryption root, when its properties ask for one. Refuses a bad key."""
    props = dataset.props
    if props.get("encryption", "off") == "off":
        if "keyformat" in props or "keylocation" in props:
            raise Refusal(f"{refusal}: encryption must be on to set keyformat or keylocation")
        return dataset
    if "keyformat" not in props:
        raise Refusal(f"{refusal}: Keyformat required for new encryption root.")
    location = props.get("keylocation", "prompt")
    _format(props, refusal)
    key = read_key(call, location, refusal)
    return replace(
        dataset, props={**props, "keylocation": location}, digest=digest_of(dataset.guid, key), loaded=True
    )


def read_key(call: Call, location: str, refusal: str, code: int = 1) -> bytes:
    """Return 32 bytes from a key location. Refuses a file that is not there, and another length."""
    if location in STDIN:
        key: bytes | None = call.stdin
    elif location.startswith("file:///"):
        key = files.read(call.tree.real(call.tx, location.removeprefix("file://")))
    else:
        raise Refusal(f"{refusal}: Invalid keylocation.", code)
    if key is None:
        raise Refusal(f"{refusal}: Failed to open key material file: No such file or directory", code)
    if len(key) != KEY_BYTES:
        word = "short" if len(key) < KEY_BYTES else "long"
        raise Refusal(f"{refusal}: Raw key too {word} (expected {KEY_BYTES}).", code)
    return key


def digest_of(guid: str, key: bytes) -> str:
    """Return what the sled remembers of a key."""
    return hashlib.sha256(guid.encode() + key).hexdigest()


def _format(props: dict[str, str], refusal: str) -> None:
    if props["keyformat"] != "raw":
        raise Refusal(f"{refusal}: this sled takes keyformat=raw only, not '{props['keyformat']}'")


def _load_many(call: Call, opts: Options) -> Reply:
    top = opts.operands[0] if opts.operands else ""
    roots = [name for name, each in call.tx.under(Dataset, top).items() if each.digest and not each.loaded]
    for root in roots:
        load_for(call, root, location=opts.last("L"), dry="n" in opts)
    return Reply(0, f"{len(roots)} / {len(roots)} key(s) successfully loaded\n")


def _root(call: Call, name: str, refusal: str) -> str:
    """Return the encryption root of that name. Refuses a dataset that is none."""
    opened(call, name)
    root = encryption_root(call, name)
    if root == "-":
        raise Refusal(f"{refusal}: '{name}' is not encrypted.", REFUSED)
    if root != name:
        raise Refusal(f"{refusal}: Keys must be loaded for encryption root of '{name}' ({root}).", REFUSED)
    return root
