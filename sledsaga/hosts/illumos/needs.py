"""Whether an illumos machine has the tools that its drivers call. Only looks."""

from __future__ import annotations

from typing import Final

from sledsaga.hosts.answer import looks
from sledsaga.hosts.finding import Finding
from sledsaga.hosts.host import Host, HostCommand

NOT_THERE: Final = 127
ASKED: Final[tuple[tuple[HostCommand, str], ...]] = (
    (looks("zpool", "list", "-Ho", "name"), "pools"),
    (looks("zfs", "list", "-Ho", "name"), "datasets"),
    (looks("diskinfo", "-cHp"), "disks"),
    (looks("fstyp", "-l"), "telling a blank disk from a used one"),
    (looks("zoneadm", "list", "-cip"), "zones"),
    (looks("dladm", "show-link", "-p", "-o", "LINK"), "links"),
    (looks("ipadm", "show-addr", "-p", "-o", "ADDROBJ"), "addresses"),
    (looks("svcs", "-H", "-o", "state", "svc:/milestone/single-user:default"), "services"),
)
"""A command of each tool that changes nothing, and what needs the tool."""


def find_needs(host: Host) -> tuple[Finding, ...]:
    """Look at every tool."""
    return tuple(_tool(host, command, why) for command, why in ASKED)


def _tool(host: Host, command: HostCommand, why: str) -> Finding:
    done = host.run(command)
    name = command.argv[0]
    if done.code == NOT_THERE:
        return Finding(
            name, "missing", "not there", f"{why} need it; this is not an illumos machine, or PATH lacks it"
        )
    if done.code != 0:
        said = (done.stderr or done.stdout).strip().partition("\n")[0]
        return Finding(name, "missing", f"it ended with {done.code}: {said[:80]}", f"{why} need it")
    return Finding(name, "ok", "it answers")
