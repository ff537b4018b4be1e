"""For all tests: how long an example may take says something about the machine, not about the code."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a script's `make test &` starts deaf to Ctrl-C, and so would be the processes that tests interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)
