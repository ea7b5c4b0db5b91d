"""tinysnitchd with a clock around its parts: profiled_daemon.py RESULT FLAG... The parts are not changed for it.

One signal begins to count anew, one writes what was counted as JSON. What is measured is slower by the clock itself.
"""

import json
import selectors
import signal
import sys
from pathlib import Path
from types import FrameType

from bench.stage_clock import StageClock
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.core.dns.names import Names
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.logs.recorder import Recorder
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.startup.main import tinysnitchd
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.nfqueue import packet_events
from tinysnitch.kernel.nfqueue import queue as nfqueue
from tinysnitch.kernel.nfqueue.packet_events import PacketEvents
from tinysnitch.kernel.nfqueue.queue import Queue
from tinysnitch.store.history import History

BEGIN_ANEW, WRITE_RESULT = signal.SIGRTMIN, signal.SIGRTMIN + 1  # the daemon itself uses neither
WAITING = "waiting for packets"
# In the order in which a packet passes them. Time in a nested stage counts for that stage alone.
STAGES = [
    (selectors.EpollSelector, "select", WAITING),
    (Driver, "_judge", "driver"),
    (Driver, "_linger", "recv, and a moment's look for more"),
    (Queue, "read_packets", "recv, and a moment's look for more"),
    (nfqueue, "parse_packet_message", "parse the message"),
    (PacketEvents, "connection_event", "make the event"),
    (packet_events, "parse_packet", "parse the packet"),
    (Attributor, "attribute", "attribution"),
    (Names, "find", "names"),
    (ActiveRules, "decide", "rules"),
    (BpfPrograms, "remember_verdict", "write the cache"),
    (BpfPrograms, "remember_flow", "write the cache"),
    (Queue, "flush", "send: the packet goes on inside"),
    (Recorder, "record", "make the line"),
    (LogOutput, "flush", "write the log"),
    (History, "flush_due", "write the history"),
]
GENERATORS = [(Engine, "handle", "engine")]


def install(clock: StageClock) -> None:
    for owner, name, stage in STAGES:
        clock.wrap(owner, name, stage)
    for owner, name, stage in GENERATORS:
        clock.wrap_iterator(owner, name, stage)


def write_result(clock: StageClock, path: Path) -> None:
    """Written under another name first, so that the file is complete once it is there."""
    result = {"spent_ns": clock.spent_ns, "entries": clock.entries, "own_ns": clock.measure_own_cost_ns()}
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(result))
    unfinished.rename(path)


def run() -> int:
    result, *flags = sys.argv[1:]
    clock = StageClock()
    install(clock)

    def obey(number: int, _frame: FrameType | None) -> None:
        if number == BEGIN_ANEW:
            clock.reset()
        else:
            write_result(clock, Path(result))

    for number in (BEGIN_ANEW, WRITE_RESULT):
        signal.signal(number, obey)
    sys.argv = ["tinysnitchd", *flags]
    return run_command(tinysnitchd, "tinysnitchd")


if __name__ == "__main__":
    sys.exit(run())
