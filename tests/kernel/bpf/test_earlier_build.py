"""Conversations that another build's programs know: their owners get new exec ids, and some are left out."""

from contextlib import closing

import pytest
from msgspec.structs import replace

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.test_verdict import make_flow
from tinysnitch.core.model.flow import UDP
from tinysnitch.kernel.bpf.earlier_build import LAYOUT
from tinysnitch.kernel.bpf.layout import EXEC_ID_KERNEL, OUTBOUND, Conversation, FlowKey, Owner
from tinysnitch.kernel.bpf.libbpf import Map
from tinysnitch.kernel.bpf.programs import BpfPrograms, conversation_key_of

pytestmark = pytest.mark.privileged

KEY = conversation_key_of(make_flow(UDP, "127.0.0.1"))
COOKIE = 1 << 40
OWNER = Owner(99, 1, 2, 1000)


def conversation(exec_id: int = 77) -> Conversation:
    return Conversation(
        cookie=COOKIE,
        exec_id=exec_id,
        seen_ns=12345,
        judged_ns=6789,
        generation=3,
        pid=4,
        uid=1000,
        begun_by=OUTBOUND,
        is_answered=1,
        is_own=1,
        interface=7,
    )


def open_conversations(programs: BpfPrograms, table: str = "conversations") -> closing[Map[FlowKey, Conversation]]:
    return closing(Map(programs.maps_dir / table, FlowKey, Conversation))


def find(programs: BpfPrograms, table: str = "conversations") -> Conversation | None:
    with open_conversations(programs, table) as conversations:
        return conversations.find(KEY)


def load_after(place: BpfPlace, value: Conversation, layout: str = LAYOUT, table: str = "conversations") -> BpfPrograms:
    """Programs beside those of another build, which know one conversation."""
    earlier = place.load()
    with open_conversations(earlier, table) as conversations:
        assert conversations.write(KEY, value)
    folder = earlier.maps_dir.parent
    folder.rename(folder.with_name(f"{layout}-{0:016x}"))
    return place.load()


@pytest.mark.parametrize("table", ["conversations", "crowded"])
def test_it_is_of_the_socket_s_owner_by_the_new_numbers(place: BpfPlace, table: str) -> None:
    programs = load_after(place, conversation(), table=table)
    programs.add_owner(COOKIE, OWNER, bytes(16), 0)
    programs.take_conversations_over()
    assert find(programs, table) == replace(
        conversation(OWNER.exec_id), judged_ns=0, generation=0, pid=OWNER.pid, uid=OWNER.uid
    )


def test_of_a_socket_that_was_closed_nothing_is_left(place: BpfPlace) -> None:
    programs = load_after(place, conversation())
    programs.take_conversations_over()
    assert find(programs) is None


def test_the_kernel_s_own_has_no_socket_that_is_seeded(place: BpfPlace) -> None:
    programs = load_after(place, conversation(EXEC_ID_KERNEL))
    programs.take_conversations_over()
    assert find(programs) == replace(conversation(EXEC_ID_KERNEL), judged_ns=0, generation=0)


@pytest.mark.parametrize("layout", ["0" * 8, "x" + LAYOUT])
def test_what_was_written_down_otherwise_is_left(place: BpfPlace, layout: str) -> None:
    programs = load_after(place, conversation(EXEC_ID_KERNEL), layout)
    programs.take_conversations_over()
    assert find(programs) is None


def test_half_a_set_is_no_trouble(place: BpfPlace) -> None:
    programs = load_after(place, conversation(EXEC_ID_KERNEL))
    (path,) = place.pin_dir.glob(f"{LAYOUT}-{0:016x}/maps/conversations")
    path.unlink()
    programs.take_conversations_over()
    assert find(programs) is None


def test_what_the_new_programs_know_stays(place: BpfPlace) -> None:
    programs = load_after(place, conversation(EXEC_ID_KERNEL))
    with open_conversations(programs) as conversations:
        assert conversations.write(KEY, conversation(5))
    programs.take_conversations_over()
    assert find(programs) == conversation(5)
