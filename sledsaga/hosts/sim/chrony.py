"""`chronyc -c tracking` inside a zone: 14 values by comma, the leap state last.

A zone's clock is in step as soon as its NTP service is online; until then it is `Not synchronised`, and
a zone without that service has no daemon to talk to.
"""

from __future__ import annotations

from sledsaga.hosts.sim import smf
from sledsaga.hosts.sim.argv import Call, Refusal, Reply, options, wrong

USAGE = "chronyc [-c] [-n] tracking"
SERVICE = "svc:/oxide/ntp:default"
IN_STEP = (
    "FD001122,ntp.sled,3,{at:.9f},0.000000012,0.000000034,0.000000056,1.0,0.0,0.1,0.001,0.002,64.0,Normal"
)
NOT_YET = "00000000,,0,0.000000000,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised"


def chronyc(call: Call, args: list[str], zone: str) -> Reply:
    """Say how the clock of a zone follows its source."""
    opts = options(args, "cn", USAGE)
    if opts.operands != ["tracking"] or "c" not in opts:
        wrong("this sled answers to -c tracking only", USAGE)
    found = smf.svcs(call, ["-H", "-a", "-o", "fmri,state"], zone).out
    states = dict(line.split() for line in found.splitlines())
    if SERVICE not in states:
        raise Refusal("506 Cannot talk to daemon")
    told = IN_STEP.format(at=call.now) if states[SERVICE] == "online" else NOT_YET
    return Reply(0, f"{told}\n")
