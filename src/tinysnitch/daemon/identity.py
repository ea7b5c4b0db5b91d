"""What does not change about a daemon while it runs: for `status` and for the ready line."""

import msgspec

from tinysnitch.daemon.instance import Instance
from tinysnitch.daemon.options import Options
from tinysnitch.protocol.mode import Mode


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    options: Options
    instance: Instance
    pid: int
    netns: int  # inode of the namespace
    cgroup: str
    degraded_because: str  # "": BPF works
    started_s: float  # boot-time seconds

    @property
    def mode(self) -> Mode:
        return Mode.DEGRADED if self.degraded_because else Mode.BPF
