"""What the verdict programs say of connections that are allowed without a name. Rules without a target only count."""

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tests.kernel.test_bpf_verdict import entry_of, key_of, make_flow, open_bound
from tinysnitch.core.flow import TCP, UDP
from tinysnitch.core.verdict import Verdict
from tinysnitch.core.watch import Watch
from tinysnitch.kernel.bpf_programs import BpfPrograms

pytestmark = pytest.mark.privileged

PORT = 4000
READ = "0x10000000/0x10000000"
PROGRAMS = ("out_allowed", "out_denied", "out_stream", "out_watched", "out_guarded")


class Counted:
    """A connection over loopback, and how many of its packets each program said yes to since the last look."""

    def __init__(self, place: BpfPlace, programs: BpfPrograms, agent: Agent, protocol: int, watch: Watch) -> None:
        self._place, self.programs, self._agent = place, programs, agent
        kind = "SOCK_STREAM" if protocol == TCP else "SOCK_DGRAM"
        self.server = place.start_agent()
        self.listening, _cookie = open_bound(self.server, "AF_INET", kind, "127.0.0.1", PORT)
        if protocol == TCP:
            self.server.call("listen", self.listening)
        self._client, self.cookie = open_bound(agent, "AF_INET", kind, "127.0.0.1")
        self.flow = make_flow(protocol, "127.0.0.1")
        key = key_of(entry_of(programs, agent, self.cookie), self.flow)
        programs.remember_verdict(key, Verdict.ALLOW, programs.generation, 0, watch=watch)
        for name in PROGRAMS:
            path = str(programs.program_path(name))
            place.run(
                "iptables", "-A", "OUTPUT", "-p", str(protocol), "--dport", str(PORT), "-m", "bpf", *_pinned(path)
            )
        assert agent.call("connect", self._client, "127.0.0.1", PORT) == ""

    def send(self) -> list[str]:
        """Send one packet; the programs that said yes to it, or to those before it."""
        self._place.run("iptables", "-Z", "OUTPUT")
        self._agent.call("send", self._client, "hello")
        return self.look()

    def look(self) -> list[str]:
        listed = self._place.run("iptables", "-nvxL", "OUTPUT").splitlines()
        rows = [line.split() for line in listed if "bpf" in line]
        return [name for name, row in zip(PROGRAMS, rows, strict=True) if int(row[0])]

    def end(self, verdict: Verdict) -> None:
        self.programs.end_watch(self.flow, self.cookie, verdict)


def _pinned(path: str) -> list[str]:
    return ["--object-pinned", path]


@pytest.mark.parametrize(("watch", "guarded"), [(Watch.NOTED, []), (Watch.GUARDED, ["out_guarded"])])
def test_a_stream_is_shown_from_its_first_byte_until_it_was_read(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, watch: Watch, guarded: list[str]
) -> None:
    stream = Counted(place, programs, agent, TCP, watch)
    assert stream.look() == ["out_allowed"]  # the SYN, which has nothing to show
    assert stream.send() == ["out_stream", "out_watched", *guarded] == stream.send()
    shown = programs.find_flow(stream.flow)
    assert shown
    assert (shown.cookie, shown.owner.pid) == (stream.cookie, agent.pid)
    stream.end(Verdict.ALLOW)
    assert stream.send() == ["out_allowed"]


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_what_was_read_and_denied_is_denied(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, protocol: int
) -> None:
    flow = Counted(place, programs, agent, protocol, Watch.GUARDED)
    flow.send()
    flow.end(Verdict.DENY)
    assert "out_denied" in flow.send()
    programs.set_generation(programs.generation + 1)
    assert "out_denied" in flow.send()


def test_a_datagram_is_shown_before_it_is_allowed(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    talk = Counted(place, programs, agent, UDP, Watch.GUARDED)
    assert talk.send() == ["out_watched", "out_guarded"]
    talk.end(Verdict.ALLOW)
    assert talk.send() == ["out_allowed"]


@pytest.mark.parametrize("watch", [Watch.NOTED, Watch.GUARDED])
def test_a_watch_lets_nothing_pass_that_is_not_allowed_any_more(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, watch: Watch
) -> None:
    talk = Counted(place, programs, agent, UDP, watch)
    assert "out_watched" in talk.send()
    programs.set_generation(programs.generation + 1)
    assert [name for name in talk.send() if name != "out_guarded"] == []


def test_an_answer_does_not_end_the_watch(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    talk = Counted(place, programs, agent, UDP, Watch.GUARDED)
    place.run("iptables", "-t", "mangle", "-A", "OUTPUT", "-j", "MARK", "--set-xmark", READ)
    talk.send()  # read, and let go
    place.run("iptables", "-t", "mangle", "-F", "OUTPUT")
    assert talk.server.call("receive", talk.listening) == "hello"
    path = str(programs.program_path("in_allowed"))
    place.run("iptables", "-A", "INPUT", "-p", "udp", "--sport", str(PORT), "-m", "bpf", *_pinned(path))
    talk.server.call("send_to", talk.listening, "127.0.0.1", 5000)
    assert " 1 " in place.run("iptables", "-nvxL", "INPUT")
    assert "out_watched" in talk.send()


def test_without_a_watch_nothing_is_shown(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    stream = Counted(place, programs, agent, TCP, Watch.NONE)
    assert stream.send() == ["out_allowed"]
