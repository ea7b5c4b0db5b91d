"""last_verdict.bpf.h: a packet that was just allowed is recognised once, and never taken for one that was denied."""

import os
from collections.abc import Iterator

import pytest

from tests.bpf.packet_run import make_udp, run_on_packet
from tinysnitch.core.model.flow import UDP, Direction, parse_address
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

ALLOWED_PORT, DENIED_PORT = 4000, 4001  # of this machine, where nobody listens
ATTEMPTS = 50


@pytest.fixture(autouse=True)
def _one_cpu() -> Iterator[None]:
    """Each CPU notes for itself, and a new packet gets the address of the last one that was freed there."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)


@pytest.fixture
def decided(programs: BpfPrograms) -> BpfPrograms:
    for port, verdict in ((ALLOWED_PORT, Verdict.ALLOW), (DENIED_PORT, Verdict.DENY)):
        key = VerdictKey(0, 0, UDP, Direction.INBOUND, parse_address("192.0.2.1"), port)
        programs.remember_verdict(key, verdict, programs.generation, 0)
    return programs


def ask(programs: BpfPrograms, name: str, port: int) -> int:
    return run_on_packet(programs.program_path(name), make_udp("192.0.2.1", 5000, "127.0.0.1", port))


def test_a_packet_is_not_taken_for_an_earlier_one_at_its_address(decided: BpfPrograms) -> None:
    """The earlier one was allowed on this CPU, and dropped by others' rules. The other was denied on another CPU."""
    for _ in range(ATTEMPTS):
        assert ask(decided, "in_allowed", ALLOWED_PORT)
        assert ask(decided, "in_denied", DENIED_PORT)
        assert ask(decided, "in_escaped", DENIED_PORT)
