"""sender.bpf.h: who sends where no hook tells."""

import os
from pathlib import Path

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tests.kernel.netns_visit import visit_netns
from tests.kernel.packet_place import wait_packets
from tests.kernel.test_bpf_verdict import PORT, entry_of, judge, make_flow, open_bound
from tests.lab.namespaces import NETNS_FOLDER
from tinysnitch.core.flow import UDP
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.nfqueue import NfVerdict, Queue

pytestmark = pytest.mark.privileged


def test_who_lets_a_packet_go_whose_socket_was_closed_meanwhile_is_not_its_sender(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """It walks the chain again in the context of who reads the queue, who has files that lead to nothing."""
    judge(place, programs, "OUTPUT")
    with visit_netns(NETNS_FOLDER / place.name):
        queue = Queue(7)
    cookies = []
    for who in (agent, place.start_agent()):  # the second one takes the place of the first one's flow
        handle, cookie = open_bound(who, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
        who.call("send_to", handle, "127.0.0.1", PORT)
        who.call("close", handle)
        cookies.append(cookie)
    held, _other = wait_packets(queue, 2)
    with Path(os.devnull).open():
        queue.queue_verdict(held.packet_id, NfVerdict.REPEAT)
        queue.flush()
    assert wait_packets(queue, 1)
    queue.close()
    assert programs.find_flow(make_flow(UDP, "127.0.0.1")) == entry_of(programs, agent, cookies[0])
