import pytest

from tests.core.engine.transcript import flow_of, inbound, whose
from tinysnitch.core.engine.room import Room
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, UDP, Flow
from tinysnitch.core.model.process import UNKNOWN
from tinysnitch.core.prompts.question import Question, question_of


def question(flow: Flow | None = None, program: str = "/usr/bin/curl", uid: int = 1000) -> Question:
    return question_of(Connection(flow=flow or flow_of(), attribution=whose(program=program, uid=uid)))


def fill(room: Room, *questions: Question) -> int:
    """How many of these questions find a place."""
    taken = 0
    for one in questions:
        if room.has_place(one):
            room.take(one)
            taken += 1
    return taken


def test_all_of_it_is_the_limit() -> None:
    room = Room(3)
    assert fill(room, *(question(uid=uid) for uid in range(5))) == room.used == 3


def test_one_program_of_one_user_takes_half_of_it_at_most() -> None:
    room = Room(4)
    assert fill(room, *(question(flow_of(port=port)) for port in range(3))) == 2
    assert room.has_place(question(program="/usr/bin/wget"))


def test_one_user_takes_three_quarters_of_it_at_most() -> None:
    """With copies of a program, since each path is a program of its own."""
    room = Room(4)
    assert fill(room, *(question(program=f"/tmp/copy{number}") for number in range(4))) == 3
    assert room.has_place(question(uid=0))


def test_all_users_of_containers_take_no_more_than_one_user() -> None:
    """Any user may have any number of these uids."""
    room = Room(4)
    assert fill(room, *(question(uid=100_000 + number) for number in range(4))) == 3
    room.give_back(question(uid=100_000))
    assert fill(room, *(question(uid=200_000 + number) for number in range(4))) == 1
    assert room.has_place(question(uid=65_535))


def test_root_may_take_all_of_it() -> None:
    assert fill(Room(4), *(question(program=f"/usr/bin/{number}", uid=0) for number in range(5))) == 4


@pytest.mark.parametrize(("limit", "share"), [(1, 1), (3, 3), (8, 6)])
def test_a_share_is_rounded_up(limit: int, share: int) -> None:
    assert fill(Room(limit), *(question(program=f"/tmp/copy{number}") for number in range(limit + 1))) == share


def test_a_flood_from_outside_takes_half_of_it_at_most() -> None:
    room = Room(4)
    assert fill(room, *(question(inbound(), uid=uid) for uid in range(3))) == 2
    assert room.has_place(question())


def test_who_comes_to_one_port_takes_no_more_than_that_and_other_ports_are_free() -> None:
    room = Room(100, visitors=2)
    visits = [question(inbound(remote=f"10.0.0.{number}")) for number in range(3)]
    assert fill(room, *visits) == 2
    assert fill(room, *visits) == 0
    others = [question(inbound(port=443)), question(inbound(), program="/usr/bin/wget"), question()]
    assert fill(room, question(inbound(protocol=UDP)), *others) == 4
    room.give_back(visits[0])
    assert fill(room, *visits) == 1


def test_protocols_without_ports_are_one_port() -> None:
    """Otherwise a machine of the link could take all inbound places, with 16 addresses and 32 protocol numbers."""
    room = Room(100, visitors=2)
    assert fill(room, *(question(inbound(protocol=number)) for number in (ICMP, 47, 200, 201))) == 2
    assert fill(room, question(inbound(protocol=UDP)), question(inbound())) == 2


def test_of_one_user_no_more_programs_have_places_than_a_person_comes_to_the_end_of() -> None:
    room = Room(100, programs=2)
    copies = [question(program=f"/tmp/copy{number}") for number in range(4)]
    assert fill(room, *copies[:3], question(flow_of(port=1), program="/tmp/copy0")) == 3
    assert fill(room, *(question(program=f"/bin/{number}", uid=uid) for number in range(3) for uid in (0, 7))) == 5
    room.give_back(copies[0])
    assert not room.has_place(copies[2])  # another question is about that one
    room.give_back(question(flow_of(port=1), program="/tmp/copy0"))
    assert fill(room, *copies[2:]) == 1


def test_of_what_is_unknown_each_question_counts_as_a_program() -> None:
    """Packets of any user may be unknown."""
    room = Room(100, programs=2)
    asked = [question_of(Connection(flow=flow_of(port=port), attribution=UNKNOWN)) for port in range(3)]
    assert fill(room, *asked) == 2
    assert room.has_place(question())
    assert fill(Room(100), *asked) == 3


def test_what_is_given_back_is_there_for_others_and_the_rest_still_counts() -> None:
    room = Room(6)
    assert fill(room, *(question(flow_of(port=port)) for port in range(4))) == 3
    room.give_back(question())
    assert room.used == 2
    assert fill(room, *(question(flow_of(port=port)) for port in range(4))) == 1


def test_who_waits_no_more_takes_up_no_memory() -> None:
    room = Room(6)
    room.take(question(inbound()), 2)
    room.give_back(question(inbound()), 2)
    assert room.used == 0
    assert not list(room._used_by)  # to compare Counters would take a zero for nothing
