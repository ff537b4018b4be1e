"""The simulated sled: the argv of a real one, over durable state of its own. See `sled.py` and `host.py`."""

from sledsaga.hosts.sim.faults import Fault
from sledsaga.hosts.sim.host import SimHost
from sledsaga.hosts.sim.layout import DiskSpec
from sledsaga.hosts.sim.sled import Entry, SimSled

__all__ = ["DiskSpec", "Entry", "Fault", "SimHost", "SimSled"]
