"""`zpool list`, `get` and `status`: script mode (-H) for the first two, exact numbers with -p."""

from __future__ import annotations

from sledsaga.hosts.sim.argv import Call, Refusal, Reply, count, options, short, table, wrong
from sledsaga.hosts.sim.things import Disk, Pool
from sledsaga.hosts.sim.zfs_names import check_pool_name
from sledsaga.hosts.sim.zfs_space import Space

LIST_USAGE = "list -H [-pv] [-o property[,...]] [pool] ..."
GET_USAGE = 'get -H [-p] [-o field[,...]] <"all" | property[,...]> <pool> ...'
STATUS_USAGE = "status [-x] [pool] ..."
USUAL = "name,size,allocated,free,capacity,health,altroot"
SETTABLE: dict[str, tuple[str, ...]] = {
    "failmode": ("wait", "continue", "panic"),
    "ashift": (),
    "autoexpand": ("on", "off"),
    "autoreplace": ("on", "off"),
    "autotrim": ("on", "off"),
    "delegation": ("on", "off"),
    "listsnapshots": ("on", "off"),
    "readonly": ("on", "off"),
    "cachefile": (),
    "comment": (),
    "altroot": (),
}
DEFAULTS = {
    "failmode": "wait",
    "ashift": "0",
    "autoexpand": "off",
    "autoreplace": "off",
    "autotrim": "off",
    "delegation": "on",
    "listsnapshots": "off",
    "readonly": "off",
    "cachefile": "-",
    "comment": "-",
    "altroot": "-",
    "feature@encryption": "disabled",
}
FACTS = ("name", "guid", "size", "allocated", "free", "capacity", "health")
SIZES = ("size", "allocated", "free")
ALIASES = {"alloc": "allocated", "cap": "capacity"}
FIELDS = ("name", "property", "value", "source")


def is_pool_property(key: str) -> bool:
    """Say whether there is a pool property of that name, a fact or one that can be set."""
    return key in FACTS or key in SETTABLE or ":" in key or key.startswith("feature@")


def opened(call: Call, name: str) -> Pool:
    """Return an imported pool. Refuses any other name."""
    pool = call.tx.get(Pool, name)
    if pool is None:
        check_pool_name(name, f"cannot open '{name}'")
        raise Refusal(f"cannot open '{name}': no such pool")
    return pool


def zpool_list(call: Call, args: list[str]) -> Reply:
    """Print one row a pool."""
    opts = options(args, "HpvPLgo:T:", LIST_USAGE)
    if "H" not in opts:
        wrong("this sled prints in script mode only: say -H", LIST_USAGE)
    keys = [_named(key, LIST_USAGE) for key in opts.last("o", USUAL).split(",")]
    rows, errors = [], ""
    for name in opts.operands or call.tx.under(Pool):
        try:
            rows.append([value(call, name, key, exact="p" in opts)[0] for key in keys])
        except Refusal as refusal:
            errors += refusal.reply.err
    return Reply(1 if errors else 0, table(rows), errors)


def zpool_get(call: Call, args: list[str]) -> Reply:
    """Print one row a pool and property."""
    opts = options(args, "Hpo:", GET_USAGE)
    if "H" not in opts:
        wrong("this sled prints in script mode only: say -H", GET_USAGE)
    count(opts.operands, 1, None, GET_USAGE)
    fields = opts.last("o", ",".join(FIELDS)).replace("all", ",".join(FIELDS)).split(",")
    if not set(fields) <= set(FIELDS):
        wrong(f"invalid column name in '{opts.last('o')}'", GET_USAGE)
    wanted = [*FACTS[1:], *DEFAULTS] if opts.operands[0] == "all" else opts.operands[0].split(",")
    rows = []
    for name in opts.operands[1:] or call.tx.under(Pool):
        opened(call, name)
        for key in (_named(each, GET_USAGE) for each in wanted):
            found, source = value(call, name, key, exact="p" in opts)
            row = {"name": name, "property": key, "value": found, "source": source}
            rows.append([row[field] for field in fields])
    return Reply(0, table(rows))


def zpool_status(call: Call, args: list[str]) -> Reply:
    """Print the health of pools in words; with -x of those that are not well."""
    opts = options(args, "xvPLgT:", STATUS_USAGE)
    names = opts.operands or list(call.tx.under(Pool))
    found = {name: opened(call, name) for name in names}
    if "x" in opts:
        well = [name for name, pool in found.items() if health(call, pool) == "ONLINE"]
        if opts.operands and well:
            return Reply(0, "".join(f"pool '{name}' is healthy\n" for name in well))
        found = {name: pool for name, pool in found.items() if name not in well}
        if not found:
            return Reply(0, "all pools are healthy\n")
    return Reply(
        0, "\n".join(_status(call, name, pool) for name, pool in found.items()) or "no pools available\n"
    )


def value(call: Call, name: str, key: str, *, exact: bool) -> tuple[str, str]:
    """Return (value, source) of a pool's property. Refuses a pool that is not there."""
    pool = opened(call, name)
    if pool.is_shut and key in (*SIZES, "capacity"):
        return "-", "-"
    if key in SIZES:
        size = _size(call, name, pool, key)
        return (str(size) if exact else short(size)), "-"
    if key == "capacity":
        percent = 100 * _size(call, name, pool, "allocated") // pool.size
        return (str(percent) if exact else f"{percent}%"), "-"
    if key in FACTS:
        return {"name": name, "guid": str(int(pool.guid, 16)), "health": health(call, pool)}[key], "-"
    if key in pool.props:
        return pool.props[key], "default" if pool.props[key] == DEFAULTS.get(key) else "local"
    return DEFAULTS.get(key, "-"), "default" if key in DEFAULTS else "-"


def health(call: Call, pool: Pool) -> str:
    """Return ONLINE, or what a pulled or failing disk makes of it, now or when the sled booted."""
    disk = call.tx.get(Disk, pool.disk)
    condition = "pulled" if disk is None else disk.condition
    if pool.is_shut and condition == "ok":
        return "UNAVAIL"
    return {"ok": "ONLINE", "failing": "FAULTED"}.get(condition, "UNAVAIL")


def _size(call: Call, name: str, pool: Pool, key: str) -> int:
    if key == "size":
        return pool.size
    allocated = Space(call, name).used(name)
    return allocated if key == "allocated" else max(0, pool.size - allocated)


def _named(key: str, usage: str) -> str:
    full = ALIASES.get(key, key)
    if full not in FACTS and full not in DEFAULTS and ":" not in full and not full.startswith("feature@"):
        wrong(f"bad property list: invalid property '{key}'", usage)
    return full


def _status(call: Call, name: str, pool: Pool) -> str:
    disk = call.tx.get(Disk, pool.disk)
    state = health(call, pool)
    device = "?" if disk is None else disk.device
    trouble = "No known data errors" if state == "ONLINE" else "the pool's disk does not answer"
    return (
        f"  pool: {name}\n state: {state}\n  scan: none requested\nconfig:\n\n"
        f"\tNAME\tSTATE\tREAD WRITE CKSUM\n\t{name}\t{state}\t0 0 0\n"
        f"\t  {device}\t{state}\t0 0 0\n\nerrors: {trouble}\n"
    )
