"""Conversations that another build's programs know: their owners get new exec ids, and some are left out."""

from contextlib import closing

import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.test_conntrack import key_of_conversation
from tests.bpf.test_verdict import make_flow
from tinysnitch.core.model.flow import UDP
from tinysnitch.kernel.bpf.handover import LAYOUT
from tinysnitch.kernel.bpf.libbpf import Fields, Map
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.bpf.structs import CONVERSATION, EXEC_ID_KERNEL, FLOW_KEY, OUTBOUND, Owner

pytestmark = pytest.mark.privileged

KEY = key_of_conversation(make_flow(UDP, "127.0.0.1"))
COOKIE = 1 << 40
OWNER = Owner(99, 1, 2, 1000)
WAYS = (OUTBOUND, 1, 0, 1, 7, 0)


def conversation(exec_id: int = 77) -> Fields:
    return (COOKIE, exec_id, 12345, 6789, 3, 4, 1000, *WAYS)


def open_conversations(programs: BpfPrograms, table: str = "conversations") -> closing[Map]:
    return closing(Map(programs.maps_dir / table, FLOW_KEY.struct, CONVERSATION.struct))


def find(programs: BpfPrograms, table: str = "conversations") -> Fields | None:
    with open_conversations(programs, table) as conversations:
        return conversations.find(*KEY)


def load_after(place: BpfPlace, value: Fields, layout: str = LAYOUT, table: str = "conversations") -> BpfPrograms:
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
    programs.seed_owner(COOKIE, OWNER, bytes(16), 0)
    programs.take_conversations_over()
    assert find(programs, table) == (COOKIE, OWNER.exec_id, 12345, 0, 0, OWNER.pid, OWNER.uid, *WAYS)


def test_of_a_socket_that_was_closed_nothing_is_left(place: BpfPlace) -> None:
    programs = load_after(place, conversation())
    programs.take_conversations_over()
    assert find(programs) is None


def test_the_kernel_s_own_has_no_socket_that_is_seeded(place: BpfPlace) -> None:
    programs = load_after(place, conversation(EXEC_ID_KERNEL))
    programs.take_conversations_over()
    assert find(programs) == (COOKIE, EXEC_ID_KERNEL, 12345, 0, 0, 4, 1000, *WAYS)


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
