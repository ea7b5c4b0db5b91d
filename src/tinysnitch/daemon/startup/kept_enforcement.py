"""What stays in the kernel when the daemon ends: its netfilter rules and BPF programs, or nothing.

A clean end leaves nothing, unless --on-exit keeps enforcement or another daemon takes over. A daemon that fails once it
was ready leaves what a killed one would. A start that fails leaves what was there before; one that is stopped by a
signal leaves nothing.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from tinysnitch.daemon.options import OnExit, Options
from tinysnitch.daemon.startup.stop_signals import Stop
from tinysnitch.kernel.bpf.pins import remove_all_pins
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.firewall import Netfilter


class Ending:
    def __init__(self, options: Options, stop: Stop, *, was_there: bool) -> None:
        """`was_there`: an earlier daemon left enforcement in place."""
        self._options = options
        self._stop = stop
        self._was_there = was_there
        self.is_ready = False  # the start is over

    @cached_property
    def _keeps(self) -> bool:
        """Whether enforcement stays after our end.

        Cached, since each step of the end asks: another signal in the middle must not change the answer. A daemon that
        ends without a signal has failed, and leaves enforcement in place as a killed one does.
        """
        is_followed = self._stop.is_hand_over and self._options.scope.has_successor
        has_failed = self.is_ready and not self._stop.has_come
        return self._options.on_exit is OnExit.KEEP or is_followed or has_failed

    @property
    def stays(self) -> bool:
        """Whether enforcement is to stay, or, if the start failed, was there before."""
        return self._keeps if self.is_ready else self._was_there

    def remove_unless_kept(self, remove: Callable[[], None]) -> None:
        """Undo a step, unless enforcement stays."""
        if not self.stays:
            remove()

    def take_programs_away(self, programs: BpfPrograms) -> None:
        """After a failed start, remove only what this start made: an earlier daemon's programs, for another --cgroup
        perhaps, may be beside them."""
        if self.is_ready:
            self.remove_unless_kept(programs.remove)
        else:
            programs.withdraw()

    def open_early(self, left: Netfilter, pins: Path) -> None:
        """If we are stopped while we start, remove the netfilter rules and pins that were there before: a stop is no
        failure, and opens the machine."""
        if self._stop.has_come and not self.is_ready and not self._keeps:
            left.remove()
            remove_all_pins(pins)
