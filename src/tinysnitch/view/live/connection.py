"""The connection that a row stands for, as far as it is known: what a rule is made of."""

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import Direction, Flow, parse_address
from tinysnitch.core.model.process import Attribution, AttributionSource, Process
from tinysnitch.view.live.traffic import Key
from tinysnitch.view.recent_decisions import PROTOCOLS

_NO_PORT = 0
_WORDS = {"kernel": AttributionSource.KERNEL, "unknown": AttributionSource.UNKNOWN}
_ANY_ADDRESS = parse_address("0.0.0.0")


def connection_of(key: Key) -> Connection | None:
    """None if no rule can be made of it."""
    is_inbound = key.direction is Direction.INBOUND
    try:
        flow = Flow(
            protocol=PROTOCOLS.get(key.protocol) or int(key.protocol),
            direction=key.direction,
            local=_ANY_ADDRESS,
            local_port=key.port if is_inbound else _NO_PORT,
            remote=parse_address(key.address),
            remote_port=_NO_PORT if is_inbound else key.port,
        )
    except (Malformed, ValueError):
        return None
    return Connection(
        flow=flow, attribution=_attribution_of(key), name=None if key.remote == key.address else key.remote
    )


def _attribution_of(key: Key) -> Attribution:
    if source := _WORDS.get(key.program):
        return Attribution(source, None)
    process = Process(
        exec_id=0,
        pid=0,
        started_ns=0,
        uid=key.uid or 0,
        executable=key.program,
        device=0,
        inode=0,
        program=key.program,
        args=(),
        parents=(),
    )
    return Attribution(AttributionSource.BPF, process)
