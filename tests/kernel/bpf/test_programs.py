"""Load, adopt, replace, remove: what is pinned stands by itself, and goes without a trace."""

import errno
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import (
    find_listener,
    has_lost_listeners,
    is_remembered,
    is_shared,
    read_flow_verdict,
    read_setting,
    write_flow,
)
from tests.kernel.bpf.test_images import make_image
from tests.lab.patience import wait_until
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.layout import IMAGE_BOOTSTRAPPED, Listener, Owner, OwnKey, ProcessEntry
from tinysnitch.kernel.bpf.libbpf import U32, Map
from tinysnitch.kernel.bpf.pins import PinFolder
from tinysnitch.kernel.bpf.programs import BpfPrograms, conversation_key_of

pytestmark = pytest.mark.privileged

LOCAL = parse_address("127.0.0.1")
KEY = VerdictKey(77, 1000, TCP, Direction.OUTBOUND, LOCAL, 443)
SOURCE = Path(__file__).parents[3] / "src"
LISTENERS = 16384  # max_entries


def attached(cgroup: Path) -> str:
    """What `bpftool cgroup show` prints for it."""
    shown = subprocess.run(["bpftool", "cgroup", "show", str(cgroup)], capture_output=True, text=True, check=False)
    return shown.stdout


def wait_detached(cgroup: Path) -> None:
    """Wait until nothing is attached: bpf_link_put() leaves the last step to a kernel worker."""
    wait_until(lambda: not attached(cgroup))


def test_a_killed_daemons_programs_are_adopted(place: BpfPlace) -> None:
    cookie = place.read_netns_cookie()
    script = (
        f"import os, sys, signal; sys.path.insert(0, {str(SOURCE)!r}); from pathlib import Path;"
        "from tinysnitch.core.model.scope import Scope;"
        "from tinysnitch.kernel.bpf.programs import BpfPrograms;"
        f"pins, cgroup = Path({str(place.pin_dir)!r}), Path({str(place.cgroup)!r});"
        f"loaded = BpfPrograms.load(pins, cgroup, {cookie}, Scope.MACHINE);"
        "loaded.set_generation(9); loaded.settings.set_packet_limit(4); loaded.settings.set_message_limit(4);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    agent = place.start_agent()  # nobody runs that loaded it
    adopted = BpfPrograms.load(place.pin_dir, place.cgroup, cookie, Scope.MACHINE)
    try:
        assert adopted.was_adopted
        assert adopted.generation == 9
        limits = [read_setting(adopted, name) for name in ("packet_limit", "message_limit")]
        assert limits == [0, 0]  # it judges and reads again
        assert adopted.find_process(agent.pid)
    finally:
        adopted.remove()


def test_remove_leaves_nothing(place: BpfPlace) -> None:
    programs = BpfPrograms.load(place.pin_dir, place.cgroup, place.read_netns_cookie(), Scope.MACHINE)
    assert "connect4" in attached(place.cgroup)
    assert programs.program_path("out_allowed").exists()
    programs.remove()
    assert not place.pin_dir.exists()
    wait_detached(place.cgroup)


def test_a_set_for_another_purpose_is_loaded_beside_and_the_old_one_removed(place: BpfPlace) -> None:
    cookie = place.read_netns_cookie()
    old = BpfPrograms.load(place.pin_dir, place.cgroup, cookie, Scope.MACHINE)
    new = BpfPrograms.load(place.pin_dir, place.cgroup, cookie, Scope.COMMAND)
    assert not new.was_adopted
    assert old.program_path("out_allowed") != new.program_path("out_allowed")
    new.remove_stale()
    old.close()
    assert not old.program_path("out_allowed").exists()
    assert new.program_path("out_allowed").exists()
    new.remove()


def test_half_a_set_is_loaded_anew(place: BpfPlace, programs: BpfPrograms) -> None:
    programs.program_path("in_denied").unlink()
    again = place.load()
    assert not again.was_adopted
    assert again.program_path("in_denied").exists()


def test_an_image_has_ended_once_nobody_runs_it(place: BpfPlace, programs: BpfPrograms) -> None:
    agent = place.start_agent()
    process = programs.find_process(agent.pid)
    assert process
    assert not programs.has_ended(process.exec_id)
    agent.close()
    wait_until(lambda: programs.has_ended(process.exec_id))
    assert programs.find_image(process.exec_id)  # known for a while, but as nobody's
    assert programs.has_ended(1 << 62)


def test_seeding_never_overwrites(programs: BpfPrograms, agent: Agent) -> None:
    known = programs.find_process(agent.pid)
    assert known
    exec_id = programs.add_image(make_image(executable="/bin/old", args=("old", "x")))
    seeded = programs.find_image(exec_id)
    assert seeded
    assert (seeded.executable, seeded.args, seeded.users) == ("/bin/old", ("old", "x"), 1)
    assert seeded.flags & IMAGE_BOOTSTRAPPED
    assert not programs.add_process(agent.pid, 1, exec_id)
    assert programs.find_process(agent.pid) == known
    assert programs.find_image(exec_id) is None


def test_a_seeded_process_hands_its_image_on(place: BpfPlace) -> None:
    agent = place.start_agent()
    programs = place.load()
    started_ns = read_started_ns(agent, programs)
    exec_id = programs.add_image(make_image(pid=agent.pid))
    assert programs.add_process(agent.pid, started_ns, exec_id)
    child = agent.call("fork")
    found = programs.find_process(child)
    assert found
    assert found.exec_id == exec_id
    agent.call("end_child", child)
    _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    assert programs.find_owner(cookie) == Owner(exec_id, started_ns, agent.pid, 0)


def read_started_ns(agent: Agent, programs: BpfPrograms) -> int:
    _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    owner = programs.find_owner(cookie)
    assert owner
    return owner.started_ns


def test_seeded_sockets_and_listeners_are_found(programs: BpfPrograms) -> None:
    owner = Owner(1 << 63, 2, 3, 4)
    assert programs.add_owner(5, owner, LOCAL, 80)
    assert not programs.add_owner(5, Owner(9, 9, 9, 9), LOCAL, 80)
    assert programs.find_owner(5) == owner
    assert programs.add_listener(UDP, 53, LOCAL, Listener(5, owner))
    assert programs.add_listener(UDP, 53, LOCAL, Listener(6, owner))
    assert find_listener(programs, UDP, 53, LOCAL) == Listener(5, owner)
    assert not programs.add_listener(UDP, 53, LOCAL, Listener(6, owner))


def test_a_port_that_no_hook_saw_bound_goes_with_its_socket(programs: BpfPrograms, agent: Agent) -> None:
    """After listen() without bind(), too: otherwise any user could fill the tables for good."""
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    agent.call("listen", handle)
    port, owner = agent.call("local_port", handle), programs.find_owner(cookie)
    assert owner
    assert programs.add_listener(TCP, port, LOCAL, Listener(cookie, owner))
    assert programs.find_owner(cookie) == owner
    agent.call("close", handle)
    assert find_listener(programs, TCP, port, LOCAL) is None
    assert programs.add_listener(TCP, port, LOCAL, Listener(cookie, owner))  # nothing of it was left


def test_what_was_closed_before_it_was_seeded_is_taken_out(programs: BpfPrograms) -> None:
    owner, other = Owner(1 << 63, 2, 3, 4), Owner(1 << 63 | 1, 5, 6, 7)
    programs.add_listener(UDP, 53, LOCAL, Listener(5, owner))
    programs.add_listener(UDP, 53, LOCAL, Listener(6, other))
    for _ in range(2):  # also what is taken out already
        programs.withdraw_listener(5)
    assert is_shared(programs, UDP, 53, LOCAL)  # until the last one is gone
    programs.withdraw_listener(6)
    assert find_listener(programs, UDP, 53, LOCAL) is None
    programs.add_listener(UDP, 54, LOCAL, Listener(5, owner))
    programs.withdraw_listener(5)
    assert find_listener(programs, UDP, 54, LOCAL) is None


def test_a_process_that_ended_before_it_was_seeded_is_taken_out(programs: BpfPrograms) -> None:
    exec_id, other = programs.add_image(make_image()), programs.add_image(make_image())
    assert programs.add_process(2**22 + 1, 5, exec_id)
    assert programs.list_processes()[2**22 + 1] == exec_id
    programs.withdraw_process(2**22 + 1, other)  # the pid is another's now
    assert programs.find_process(2**22 + 1) == ProcessEntry(exec_id, 5)
    programs.withdraw_process(2**22 + 1, exec_id)
    assert programs.find_process(2**22 + 1) is None
    assert programs.find_image(exec_id) is None


def test_a_start_ends_the_doubt_about_ports_that_found_no_room(programs: BpfPrograms) -> None:
    programs.settings.set_lost_listeners(True)
    programs.expect_all_listeners()
    assert not has_lost_listeners(programs)


def test_a_socket_goes_to_another_and_its_port_with_it(programs: BpfPrograms) -> None:
    owner, other = Owner(1 << 63, 2, 3, 4), Owner(1 << 63 | 1, 5, 6, 7)
    programs.add_owner(5, owner, LOCAL, 80)
    programs.add_listener(UDP, 53, LOCAL, Listener(5, owner))
    programs.replace_owner(5, other)
    assert programs.find_owner(5) == other
    assert find_listener(programs, UDP, 53, LOCAL) == Listener(5, other)
    assert not is_shared(programs, UDP, 53, LOCAL)


def test_a_socket_without_a_port_goes_to_another(programs: BpfPrograms) -> None:
    other = Owner(1 << 63 | 1, 5, 6, 7)
    programs.add_owner(5, Owner(1 << 63, 2, 3, 4), LOCAL, 80)
    programs.replace_owner(5, other)
    assert programs.find_owner(5) == other


def test_a_group_of_which_one_goes_to_another_is_shared(programs: BpfPrograms) -> None:
    owner, other = Owner(1 << 63, 2, 3, 4), Owner(1 << 63 | 1, 5, 6, 7)
    for cookie in (5, 6):
        programs.add_listener(UDP, 53, LOCAL, Listener(cookie, owner))
    programs.replace_owner(6, owner)
    assert not is_shared(programs, UDP, 53, LOCAL)
    programs.replace_owner(6, other)  # of which nothing is noted any more
    assert programs.find_owner(6) == other
    assert find_listener(programs, UDP, 53, LOCAL) == Listener(5, owner)
    assert is_shared(programs, UDP, 53, LOCAL)
    programs.replace_owner(5, other)  # the first one: it stands for all
    assert find_listener(programs, UDP, 53, LOCAL) == Listener(5, other)


def test_a_listener_that_finds_no_room_is_remembered(programs: BpfPrograms) -> None:
    """Otherwise a port that it has would seem to be another socket's alone."""
    for port in range(LISTENERS):
        programs.add_listener(UDP, port, LOCAL, Listener(port, Owner(9, 9, 9, 9)))
    assert not has_lost_listeners(programs)
    programs.add_listener(TCP, 1, LOCAL, Listener(LISTENERS, Owner(9, 9, 9, 9)))
    assert has_lost_listeners(programs)


def test_where_it_cannot_be_told_what_is_there_nothing_is_left(
    place: BpfPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: PinFolder, _scope: Scope) -> bool:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(PinFolder, "is_complete", fail)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        BpfPrograms.load(place.pin_dir, place.cgroup, place.read_netns_cookie(), Scope.MACHINE)
    assert not place.pin_dir.exists()


def test_to_withdraw_leaves_what_was_there(place: BpfPlace) -> None:
    cookie, other = place.read_netns_cookie(), place.cgroup / "other"
    other.mkdir()
    BpfPrograms.load(place.pin_dir, place.cgroup, cookie, Scope.MACHINE).close()
    beside = BpfPrograms.load(place.pin_dir, other, cookie, Scope.MACHINE)
    assert "connect4" in attached(other)
    beside.withdraw()
    wait_detached(other)
    adopted = BpfPrograms.load(place.pin_dir, place.cgroup, cookie, Scope.MACHINE)
    assert adopted.was_adopted
    adopted.withdraw()
    assert "connect4" in attached(place.cgroup)
    adopted.remove()
    BpfPrograms.load(place.pin_dir, place.cgroup, cookie, Scope.MACHINE).withdraw()
    assert not place.pin_dir.exists()


def test_own_addresses_are_written_with_the_generation(programs: BpfPrograms) -> None:
    """Link-local ones may be another machine's on another link. None: no change."""
    own, linked = parse_address("192.0.2.9"), parse_address("fe80::9")
    programs.set_generation(2, frozenset({own, linked}))
    programs.set_generation(3)
    with closing(Map(programs.maps_dir / "own_addresses", OwnKey, U32)) as written:
        assert written.find(OwnKey(own))
        assert not written.find(OwnKey(linked))


def test_old_verdicts_end_even_if_the_addresses_cannot_be_written(
    programs: BpfPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And packets of verdicts in a generation that the kernel does not have would come back for ever."""

    def refuse(*_entry: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(programs._maps.own_addresses, "write", refuse)
    with pytest.raises(OSError, match="memory"):
        programs.set_generation(7, frozenset({LOCAL}))
    assert programs.generation == 7


def test_a_verdict_for_a_flow_is_not_another_programs_who_took_it_meanwhile(programs: BpfPrograms) -> None:
    """Both share the port (SO_REUSEADDR) and talk to the same remote: the flow has the one that sent last."""
    flow = Flow(UDP, Direction.OUTBOUND, LOCAL, 5353, parse_address("224.0.0.251"), 5353)
    write_flow(programs, flow, 5, Owner(100, 7, 4000, 1000))
    assert not programs.remember_flow(flow, Verdict.ALLOW, 1, 0, exec_id=99)
    assert read_flow_verdict(programs, flow) == 0
    assert programs.remember_flow(flow, Verdict.ALLOW, 1, 0, exec_id=100)
    assert read_flow_verdict(programs, flow) == 1


def test_forgotten_verdicts_are_gone(programs: BpfPrograms) -> None:
    programs.remember_verdict(KEY, Verdict.ALLOW, 1, 0)
    assert is_remembered(programs, KEY)
    programs.forget_verdicts([KEY])
    programs.forget_verdicts([KEY])
    assert not is_remembered(programs, KEY)


def test_what_is_not_there_is_none(programs: BpfPrograms) -> None:
    assert programs.find_image(5) is None
    assert programs.find_process(2**22 + 1) is None
    assert programs.find_flow(Flow(TCP, Direction.INBOUND, LOCAL, 1, LOCAL, 2)) is None
    assert find_listener(programs, TCP, 1, LOCAL) is None


def test_exec_ids_do_not_come_again_after_a_new_load(place: BpfPlace) -> None:
    first = place.load()
    agent = place.start_agent()
    earlier = first.find_process(agent.pid)
    first.remove()
    second = place.load()
    later = second.find_process(place.start_agent().pid)
    assert isinstance(earlier, ProcessEntry)
    assert isinstance(later, ProcessEntry)
    assert later.exec_id > earlier.exec_id


def test_traces_wake_a_reader(programs: BpfPrograms, agent: Agent) -> None:
    programs.settings.set_tracing(True)
    waiting = programs.traces_fd
    agent.call("run_many", 1, "/bin/true")
    readable, _, _ = select.select([waiting], [], [], 60)
    assert readable == [waiting]


def test_no_descriptor_is_left_open(place: BpfPlace) -> None:
    place.load().remove()
    before = len(os.listdir("/proc/self/fd"))
    programs = place.load()
    programs.settings.set_tracing(True)
    assert programs.traces_fd
    programs.remove()
    assert len(os.listdir("/proc/self/fd")) <= before + 4  # the pipes of the agent that read the cookie


@pytest.mark.parametrize(
    ("table", "begun_by", "is_answered", "quiet_ns", "is_welcome"),
    [
        ("conversations", layout.OUTBOUND, 0, 0, True),
        ("crowded", layout.OUTBOUND, 0, 0, True),
        ("conversations", layout.OUTBOUND, 0, layout.ANSWER_NS, False),
        ("conversations", layout.OUTBOUND, 1, layout.ANSWER_NS, True),
        ("conversations", layout.OUTBOUND, 1, layout.LULL_NS, False),
        ("conversations", layout.INBOUND, 0, 0, False),
    ],
)
def test_only_to_what_was_asked_lately_an_answer_may_come_from_another_address(
    programs: BpfPrograms,
    conversations: Map,
    crowded: Map,
    *,
    table: str,
    begun_by: int,
    is_answered: int,
    quiet_ns: int,
    is_welcome: bool,
) -> None:
    asked = Flow(UDP, Direction.OUTBOUND, LOCAL, 5000, parse_address("192.0.2.1"), 53)
    answer = replace(asked, remote=parse_address("192.0.2.2"))
    assert not programs.translate_conversation(asked, answer)
    seen_ns = time.monotonic_ns() - quiet_ns
    known = layout.Conversation(cookie=8, exec_id=77, seen_ns=seen_ns, begun_by=begun_by, is_answered=is_answered)
    assert {"conversations": conversations, "crowded": crowded}[table].write(conversation_key_of(asked), known)
    assert programs.translate_conversation(asked, answer) is is_welcome
    found = conversations.find(conversation_key_of(answer))
    assert found == (replace(known, is_answered=0) if is_welcome else None)
