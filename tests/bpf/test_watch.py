"""watch.bpf.h: which packets of connections without a name are shown. The iptables rules have no target: they count."""

import socket

import msgspec
import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import forget_socket, read_flow_verdict, write_flow
from tests.bpf.test_verdict import LOCAL_PORT, entry_of, key_of, make_flow, open_bound
from tinysnitch.core.model.flow import TCP, UDP, parse_address
from tinysnitch.core.model.verdict import Inspection, Verdict
from tinysnitch.kernel.bpf.layout import Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

PORT = 4000
READ, OTHER_MARK = "0x10000000/0x10000000", "0x20000000/0x20000000"
PROGRAMS = ("out_allowed", "out_denied", "out_stream", "out_watched", "out_guarded")


class Counted:
    """A connection over loopback, and which programs said yes to its packets since the last look."""

    def __init__(
        self,
        place: BpfPlace,
        programs: BpfPrograms,
        agent: Agent,
        protocol: int,
        watch: Inspection,
        *,
        is_v6: bool = False,
    ) -> None:
        self._place, self.programs, self._agent = place, programs, agent
        family, address = ("AF_INET6", "::1") if is_v6 else ("AF_INET", "127.0.0.1")
        kind = "SOCK_STREAM" if protocol == TCP else "SOCK_DGRAM"
        self.server = place.start_agent()
        self.listening, _cookie = open_bound(self.server, family, kind, address, PORT)
        if protocol == TCP:
            self.server.call("listen", self.listening)
        self.client, self.cookie = open_bound(agent, family, kind, address)
        self.flow = make_flow(protocol, address)
        self._watch = watch
        self.allow(address, PORT)
        self._iptables = "ip6tables" if is_v6 else "iptables"
        sent = ["-A", "OUTPUT", "-p", str(protocol), "--sport", str(LOCAL_PORT)]
        for name in PROGRAMS:
            place.run(self._iptables, *sent, "-m", "bpf", *_pinned(str(programs.program_path(name))))
        assert agent.call("connect", self.client, address, PORT) == ""

    def allow(self, address: str, port: int) -> None:
        flow = msgspec.structs.replace(self.flow, remote=parse_address(address), remote_port=port)
        key = key_of(entry_of(self.programs, self._agent, self.cookie), flow)
        self.programs.remember_verdict(key, Verdict.ALLOW, self.programs.generation, 0, watch=self._watch)

    def send(self, *remote: str | int) -> list[str]:
        """Sends one packet. Returns the programs that said yes to it, or to one before it that was late."""
        self._place.run(self._iptables, "-Z", "OUTPUT")
        if remote:
            self._agent.call("send_to", self.client, *remote)
        else:
            self._agent.call("send", self.client, "hello")
        return self.look()

    def look(self) -> list[str]:
        listed = self._place.run(self._iptables, "-nvxL", "OUTPUT").splitlines()
        rows = [line.split() for line in listed if "bpf" in line]
        return [name for name, row in zip(PROGRAMS, rows, strict=True) if int(row[0])]

    def end(self, verdict: Verdict) -> None:
        self.programs.end_watch(self.flow, self.cookie, verdict)


def _pinned(path: str) -> list[str]:
    return ["--object-pinned", path]


@pytest.mark.parametrize(("watch", "guarded"), [(Inspection.NOTED, []), (Inspection.GUARDED, ["out_guarded"])])
def test_a_stream_is_shown_from_its_first_byte_until_it_was_read(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, watch: Inspection, guarded: list[str]
) -> None:
    stream = Counted(place, programs, agent, TCP, watch)
    assert stream.look() == ["out_allowed"]  # the SYN, which has nothing to show
    assert stream.send() == ["out_stream", "out_watched", *guarded] == stream.send()
    shown = programs.find_flow(stream.flow)
    assert shown
    assert (shown.cookie, shown.owner.pid) == (stream.cookie, agent.pid)
    stream.end(Verdict.ALLOW)
    assert stream.send() == ["out_allowed"]


# Where the size of a header without options would be it says 60 bytes: RFC 4727 3, RFC 8200 4.2
EXPERIMENT = [*[1] * 8, 0x9E, 8, 0, 0, 0xFF, 0, 0, 0]
PADDING = [0, 0, 1, 4, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("is_v6", "level", "option", "value"),
    [
        (False, "IPPROTO_IP", socket.IP_OPTIONS, EXPERIMENT),
        (True, "IPPROTO_IPV6", socket.IPV6_DSTOPTS, PADDING),
    ],
)
def test_a_stream_is_shown_also_behind_options(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, *, is_v6: bool, level: str, option: int, value: list[int]
) -> None:
    stream = Counted(place, programs, agent, TCP, Inspection.NOTED, is_v6=is_v6)
    assert agent.call("set_option", stream.client, level, option, value) == ""
    assert stream.send() == ["out_stream", "out_watched"]


def test_a_stream_is_shown_also_when_its_socket_is_forgotten(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    stream = Counted(place, programs, agent, TCP, Inspection.NOTED)
    stream.send()
    place.run("iptables", "-F", "OUTPUT")  # what judges would note it anew
    shown = str(programs.program_path("out_stream"))
    place.run("iptables", "-A", "OUTPUT", "-m", "bpf", *_pinned(shown), "-j", "DROP")
    forget_socket(programs, stream.cookie)
    accepted = stream.server.call("accept", stream.listening)
    assert stream.server.call("receive", accepted) == "hello"
    agent.call("send", stream.client, "hello")
    assert not stream.server.hears(accepted, expected=False)


@pytest.mark.parametrize("verdict", [Verdict.ALLOW, Verdict.DENY])
@pytest.mark.parametrize(("address", "port"), [("127.0.0.2", PORT), ("127.0.0.1", PORT + 1)])
def test_a_late_end_of_a_stream_does_not_end_a_later_stream_of_its_socket(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, verdict: Verdict, address: str, port: int
) -> None:
    """Data sent before connect() to AF_UNSPEC may be read after the next connect()."""
    stream = Counted(place, programs, agent, TCP, Inspection.NOTED)
    assert "out_stream" in stream.send()
    assert agent.call("disconnect", stream.client) == ""
    other, _cookie = open_bound(stream.server, "AF_INET", "SOCK_STREAM", address, port)
    stream.server.call("listen", other)
    stream.allow(address, port)
    assert agent.call("connect", stream.client, address, port) == ""
    stream.end(verdict)
    assert stream.send() == ["out_stream", "out_watched"]


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_connection_that_was_denied_by_what_it_said_stays_denied(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, protocol: int
) -> None:
    flow = Counted(place, programs, agent, protocol, Inspection.GUARDED)
    flow.send()
    flow.end(Verdict.DENY)
    assert "out_denied" in flow.send()
    flow.end(Verdict.ALLOW)  # a packet that was held beside the one that said the name, and says none itself
    assert "out_denied" in flow.send()
    programs.set_generation(programs.generation + 1)
    assert "out_denied" in flow.send()


def test_a_datagram_is_shown_before_it_is_allowed(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    talk = Counted(place, programs, agent, UDP, Inspection.GUARDED)
    assert talk.send() == ["out_watched", "out_guarded"]
    talk.end(Verdict.ALLOW)
    assert talk.send() == ["out_allowed"]


@pytest.mark.parametrize("watch", [Inspection.NOTED, Inspection.GUARDED])
def test_a_packet_that_is_allowed_no_more_is_not_shown(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, watch: Inspection
) -> None:
    talk = Counted(place, programs, agent, UDP, watch)
    assert "out_watched" in talk.send()
    programs.set_generation(programs.generation + 1)
    assert [name for name in talk.send() if name != "out_guarded"] == []


@pytest.mark.parametrize("is_read", [False, True])
def test_an_answer_passes_once_the_question_was_read_and_does_not_end_the_watch(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, *, is_read: bool
) -> None:
    talk = Counted(place, programs, agent, UDP, Inspection.GUARDED)
    mark = READ if is_read else OTHER_MARK
    place.run("iptables", "-t", "mangle", "-A", "OUTPUT", "-j", "MARK", "--set-xmark", mark)
    talk.send()  # let go all the same: no rule here drops it
    place.run("iptables", "-t", "mangle", "-F", "OUTPUT")
    assert talk.server.call("receive", talk.listening) == "hello"
    path = str(programs.program_path("in_allowed"))
    place.run("iptables", "-A", "INPUT", "-p", "udp", "--sport", str(PORT), "-m", "bpf", *_pinned(path))
    talk.server.call("send_to", talk.listening, "127.0.0.1", 5000)
    (row,) = (line.split() for line in place.run("iptables", "-nvxL", "INPUT").splitlines() if "bpf" in line)
    assert row[0] == ("1" if is_read else "0")
    assert "out_watched" in talk.send()


def test_a_shown_packet_is_noted_for_its_socket_in_place_of_another_one(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    stream = Counted(place, programs, agent, TCP, Inspection.NOTED)
    write_flow(programs, stream.flow, stream.cookie + 1, Owner(1, 1, 1, 1))
    assert "out_stream" in stream.send()
    shown = programs.find_flow(stream.flow)
    assert shown
    assert (shown.cookie, shown.owner.pid) == (stream.cookie, agent.pid)


def test_showing_a_packet_keeps_the_verdict_of_its_flow(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    """A verdict for the flow alone, that is. Without it the next packet would be a miss."""
    talk = Counted(place, programs, agent, UDP, Inspection.GUARDED)
    talk.send()
    assert programs.remember_flow(talk.flow, Verdict.ALLOW, programs.generation, 0, watch=Inspection.GUARDED)
    talk.send()
    assert read_flow_verdict(programs, talk.flow)


def test_each_conversation_of_one_socket_is_read_for_itself(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    talk = Counted(place, programs, agent, UDP, Inspection.GUARDED)
    talk.send()
    talk.end(Verdict.ALLOW)
    for remote in (("127.0.0.1", PORT + 1), ("127.0.0.2", PORT)):
        talk.allow(*remote)
        assert "out_watched" in talk.send(*remote)
    assert talk.send() == ["out_allowed"]


def test_without_a_watch_nothing_is_shown(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    """Even if another connection has a watch."""
    stream = Counted(place, programs, agent, TCP, Inspection.NONE)
    assert stream.send() == ["out_allowed"]
    key = key_of(entry_of(programs, agent, stream.cookie), stream.flow)
    watched = msgspec.structs.replace(key, port=PORT + 1)
    programs.remember_verdict(watched, Verdict.ALLOW, programs.generation, 0, watch=Inspection.NOTED)
    assert stream.send() == ["out_allowed"]
