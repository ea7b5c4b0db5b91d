"""current.bpf.h: the current process, where it was there before the programs were loaded."""

import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.pinned_tables import forget_process
from tinysnitch.kernel.bpf.layout import EXEC_ID_BOOTSTRAPPED

pytestmark = pytest.mark.privileged

TICK_NS = 10_000_000  # the unit in which /proc tells the start of a process: proc_pid_stat(5)


def test_a_seeded_process_is_known_by_the_tick_in_which_it_started(place: BpfPlace) -> None:
    """Another process may have got the pid while /proc was read."""
    agent = place.start_agent()
    programs = place.load()
    _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    unknown = programs.find_owner(cookie)
    assert unknown
    tick_ns = unknown.started_ns // TICK_NS * TICK_NS
    for started_ns, exec_id in ((tick_ns - TICK_NS, 0), (tick_ns, EXEC_ID_BOOTSTRAPPED)):
        assert programs.add_process(agent.pid, started_ns, EXEC_ID_BOOTSTRAPPED)
        _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
        owner = programs.find_owner(cookie)
        assert owner
        assert (owner.exec_id, owner.started_ns) == (exec_id, unknown.started_ns)
        forget_process(programs, agent.pid)
