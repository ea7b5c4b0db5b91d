"""Told as transcripts: who asks, what the resolver says, what is believed then."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.dns_message import AAAA, A, Answer, Question
from tinysnitch.core.flow import UDP, Direction, Flow, parse_address
from tinysnitch.core.names import (
    ASKERS_PER_NAME,
    MAX_TTL_S,
    NAMES_PER_ADDRESS,
    QUESTION_LIFE_S,
    QUESTIONS_PER_ID,
    Learned,
    NameFacts,
    Names,
    Refusal,
)
from tinysnitch.core.table import TableStatistics

STUB = parse_address("127.0.0.53")
ROGUE = parse_address("198.51.100.66")
SHOP = parse_address("192.0.2.80")
MIRROR = parse_address("192.0.2.81")
CURL, FIREFOX = 100, 200
MIN_TTL_S = 300.0


def flow_to(resolver: bytes, port: int = 40000) -> Flow:
    return Flow(UDP, Direction.OUTBOUND, parse_address("127.0.0.1"), port, resolver, 53)


class Transcript:
    """One machine's talk with its resolvers, ten seconds after its start."""

    def __init__(self, capacity: int = 100, max_questions: int = 100) -> None:
        self.names = Names(capacity, max_questions, MIN_TTL_S)
        self.names.set_resolvers(frozenset({STUB}))
        self.now_s = 10.0
        self.last_id = 0

    def asks(self, exec_id: int | None, name: str, *, resolver: bytes = STUB, kind: int = A, id: int = 0) -> int:
        self.last_id = id or self.last_id + 1
        self.names.ask(flow_to(resolver), Question(self.last_id, name, kind), exec_id, self.now_s)
        return self.last_id

    def hears(
        self,
        name: str,
        *addresses: bytes,
        id: int | None = None,
        resolver: bytes = STUB,
        ttl_s: int = 600,
        kind: int = A,
        rcode: int = 0,
        is_truncated: bool = False,
    ) -> Learned:
        answer = Answer(
            id=self.last_id if id is None else id,
            name=name,
            type=kind,
            addresses=tuple((address, ttl_s) for address in addresses),
            rcode=rcode,
            is_truncated=is_truncated,
        )
        return self.names.learn(flow_to(resolver), answer, self.now_s)

    def looks_up(self, exec_id: int | None, name: str, *addresses: bytes, ttl_s: int = 600) -> tuple[bytes, ...]:
        self.asks(exec_id, name)
        return self.hears(name, *addresses, ttl_s=ttl_s).addresses

    def name_of(self, address: bytes, exec_id: int | None = None) -> str | None:
        return self.names.find(address, self.now_s, exec_id).name

    def refusals(self) -> dict[Refusal, int]:
        return dict(self.names.statistics().refusals)


@pytest.fixture
def talk() -> Transcript:
    return Transcript()


def test_an_answer_to_a_question_is_learned(talk: Transcript) -> None:
    talk.asks(CURL, "shop.test")
    assert talk.hears("shop.test", SHOP, MIRROR) == Learned((SHOP, MIRROR))
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts("shop.test", (), 10.0 + 600, is_sure=True)
    assert talk.name_of(MIRROR) == "shop.test"
    assert talk.refusals() == {}


def test_an_address_nobody_asked_for_has_no_name(talk: Transcript) -> None:
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts(None, (), float("inf"))


# What teaches nothing


def test_an_answer_without_a_question_is_refused(talk: Transcript) -> None:
    assert talk.hears("shop.test", SHOP, id=7) == Learned((), Refusal.UNSOLICITED)
    assert talk.name_of(SHOP) is None


def test_an_answer_under_another_id_is_refused(talk: Transcript) -> None:
    identifier = talk.asks(CURL, "shop.test")
    assert talk.hears("shop.test", SHOP, id=identifier + 1).refusal is Refusal.UNSOLICITED


def test_an_answer_to_another_flow_is_refused(talk: Transcript) -> None:
    identifier = talk.asks(CURL, "shop.test")
    answer = Answer(id=identifier, name="shop.test", type=A, addresses=((SHOP, 60),))
    assert talk.names.learn(flow_to(STUB, port=40001), answer, talk.now_s).refusal is Refusal.UNSOLICITED


@pytest.mark.parametrize(("name", "kind"), [("bank.test", A), ("shop.test", AAAA)])
def test_an_answer_to_another_question_is_refused_and_the_right_one_still_learned(
    talk: Transcript, name: str, kind: int
) -> None:
    talk.asks(CURL, "shop.test")
    assert talk.hears(name, SHOP, kind=kind) == Learned((), Refusal.WRONG_QUESTION)
    assert talk.name_of(SHOP) is None
    assert talk.hears("shop.test", SHOP) == Learned((SHOP,))


def test_a_question_is_answered_once(talk: Transcript) -> None:
    talk.asks(CURL, "shop.test")
    talk.hears("shop.test", SHOP)
    assert talk.hears("shop.test", MIRROR) == Learned((), Refusal.UNSOLICITED)
    assert talk.name_of(MIRROR) is None


def test_a_resolver_that_is_not_trusted_teaches_nothing(talk: Transcript) -> None:
    talk.asks(CURL, "bank.test", resolver=ROGUE)
    assert talk.hears("bank.test", SHOP, resolver=ROGUE) == Learned((), Refusal.NOT_TRUSTED)
    assert talk.name_of(SHOP) is None
    assert talk.names.statistics().questions.used == 0


def test_trust_can_be_taken_away(talk: Transcript) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    talk.asks(CURL, "shop.test")
    talk.names.set_resolvers(frozenset())
    assert talk.hears("shop.test", MIRROR) == Learned((), Refusal.NOT_TRUSTED)
    assert talk.name_of(SHOP) == "shop.test"


def test_a_late_answer_is_refused(talk: Transcript) -> None:
    talk.asks(CURL, "shop.test")
    talk.now_s += QUESTION_LIFE_S + 0.1
    assert talk.hears("shop.test", SHOP) == Learned((), Refusal.UNSOLICITED)


@pytest.mark.parametrize(
    ("said", "refusal"),
    [({"rcode": 3}, Refusal.FAILED), ({}, Refusal.NO_ADDRESS), ({"is_truncated": True}, Refusal.TRUNCATED)],
)
def test_an_answer_without_addresses_says_why(talk: Transcript, said: dict[str, int], refusal: Refusal) -> None:
    talk.asks(CURL, "shop.test")
    assert talk.hears("shop.test", **said) == Learned((), refusal)  # type: ignore[arg-type]
    assert talk.refusals() == {refusal: 1}


def test_a_failure_ends_the_question(talk: Transcript) -> None:
    talk.asks(CURL, "shop.test")
    talk.hears("shop.test", SHOP, rcode=2)
    assert talk.hears("shop.test", SHOP) == Learned((), Refusal.UNSOLICITED)


def test_refusals_are_counted(talk: Transcript) -> None:
    talk.hears("shop.test", SHOP)
    talk.hears("shop.test", SHOP)
    assert talk.names.count_malformed() == Learned((), Refusal.MALFORMED)
    assert talk.refusals() == {Refusal.UNSOLICITED: 2, Refusal.MALFORMED: 1}


# Which name decides


def test_the_newest_question_decides_and_the_others_are_told(talk: Transcript) -> None:
    talk.looks_up(CURL, "a.test", SHOP)
    talk.looks_up(CURL, "b.test", SHOP)
    talk.looks_up(CURL, "c.test", SHOP)
    assert talk.names.find(SHOP, talk.now_s, None) == NameFacts("c.test", ("b.test", "a.test"), 610.0)


def test_a_name_is_sure_for_who_asked_for_it_and_for_no_other_of_the_address(talk: Transcript) -> None:
    talk.looks_up(CURL, "a.test", SHOP)
    talk.looks_up(None, "b.test", SHOP)
    assert talk.names.find(SHOP, talk.now_s, CURL).is_sure
    assert not talk.names.find(SHOP, talk.now_s, None).is_sure
    talk.looks_up(CURL, "c.test", SHOP)
    assert not talk.names.find(SHOP, talk.now_s, CURL).is_sure


def test_the_question_counts_and_not_when_its_answer_comes(talk: Transcript) -> None:
    first = talk.asks(CURL, "a.test")
    second = talk.asks(CURL, "b.test")
    assert talk.hears("b.test", SHOP, id=second) == Learned((SHOP,))
    assert talk.hears("a.test", SHOP, id=first) == Learned(())
    assert talk.name_of(SHOP) == "b.test"


def test_a_process_means_the_name_that_it_asked_for(talk: Transcript) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    talk.looks_up(FIREFOX, "ads.test", SHOP)
    assert talk.name_of(SHOP, CURL) == "shop.test"
    assert talk.name_of(SHOP, FIREFOX) == "ads.test"
    assert talk.name_of(SHOP) == "ads.test"
    assert talk.names.find(SHOP, talk.now_s, CURL).others == ("ads.test",)


def test_of_its_own_names_its_newest_question_decides(talk: Transcript) -> None:
    talk.looks_up(CURL, "a.test", SHOP)
    talk.looks_up(CURL, "b.test", SHOP)
    talk.looks_up(FIREFOX, "a.test", SHOP)
    assert talk.name_of(SHOP, CURL) == "b.test"


def test_an_unknown_process_is_nobody(talk: Transcript) -> None:
    talk.looks_up(0, "a.test", SHOP)
    talk.looks_up(None, "b.test", SHOP)
    assert talk.name_of(SHOP, 0) == "b.test"


def test_only_a_change_is_told(talk: Transcript) -> None:
    assert talk.looks_up(CURL, "a.test", SHOP) == (SHOP,)
    assert talk.looks_up(CURL, "a.test", SHOP) == ()
    assert talk.looks_up(FIREFOX, "a.test", SHOP) == ()
    assert talk.looks_up(FIREFOX, "b.test", SHOP, MIRROR) == (SHOP, MIRROR)
    assert talk.looks_up(CURL, "a.test", SHOP) == (SHOP,)


# How long it lives


def test_a_name_lives_as_long_as_its_ttl(talk: Transcript) -> None:
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=600)
    talk.now_s += 599
    assert talk.name_of(SHOP) == "shop.test"
    talk.now_s += 1
    assert talk.name_of(SHOP) is None


@pytest.mark.parametrize(("ttl_s", "lives_s"), [(1, MIN_TTL_S), (2**31 - 1, MAX_TTL_S)])
def test_a_life_has_bounds(talk: Transcript, ttl_s: int, lives_s: float) -> None:
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=ttl_s)
    assert talk.names.find(SHOP, talk.now_s, CURL).expires_s == 10.0 + lives_s


def test_a_new_answer_prolongs_and_never_shortens(talk: Transcript) -> None:
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=600)
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=1)
    assert talk.names.find(SHOP, talk.now_s, CURL).expires_s == 610.0
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=900)
    assert talk.names.find(SHOP, talk.now_s, CURL).expires_s == 910.0


def test_an_address_given_twice_lives_longest(talk: Transcript) -> None:
    identifier = talk.asks(CURL, "shop.test")
    answer = Answer(id=identifier, name="shop.test", type=A, addresses=((SHOP, 900), (SHOP, 600)))
    assert talk.names.learn(flow_to(STUB), answer, talk.now_s) == Learned((SHOP,))
    assert talk.names.find(SHOP, talk.now_s, CURL).expires_s == 910.0


def test_an_older_name_decides_again_when_the_newer_one_ends(talk: Transcript) -> None:
    talk.looks_up(CURL, "old.test", SHOP, ttl_s=900)
    talk.looks_up(CURL, "new.test", SHOP, ttl_s=400)
    talk.now_s += 500
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts("old.test", (), 910.0, is_sure=True)
    assert talk.looks_up(CURL, "new.test", SHOP) == (SHOP,)


# Bounds


def test_questions_are_bounded(talk: Transcript) -> None:
    talk = Transcript(max_questions=2)
    first = talk.asks(CURL, "a.test")
    talk.asks(CURL, "b.test")
    talk.asks(CURL, "c.test")
    assert talk.hears("a.test", SHOP, id=first).refusal is Refusal.UNSOLICITED
    assert talk.names.statistics().questions == TableStatistics(used=2, capacity=2, evicted=1)


def test_old_questions_make_room_without_a_loss() -> None:
    talk = Transcript(max_questions=2)
    talk.asks(CURL, "a.test")
    talk.asks(CURL, "b.test")
    talk.now_s += QUESTION_LIFE_S + 1
    talk.asks(CURL, "c.test")
    assert talk.names.statistics().questions == TableStatistics(used=1, capacity=2, evicted=0)


def test_questions_under_one_id_wait_side_by_side(talk: Transcript) -> None:
    for kind in (A, AAAA, A):
        talk.asks(CURL, "shop.test", kind=kind, id=5)
    assert talk.hears("shop.test", SHOP, id=5, kind=AAAA).addresses == (SHOP,)
    assert talk.hears("shop.test", MIRROR, id=5, kind=A).addresses == (MIRROR,)
    assert talk.hears("shop.test", SHOP, id=5, kind=A).refusal is Refusal.UNSOLICITED


def test_questions_under_one_id_are_bounded(talk: Transcript) -> None:
    for number in range(QUESTIONS_PER_ID + 1):
        talk.asks(CURL, f"{number}.test", id=5)
    assert talk.hears("0.test", SHOP, id=5).refusal is Refusal.WRONG_QUESTION
    assert talk.hears("1.test", SHOP, id=5).addresses == (SHOP,)


def test_addresses_are_bounded() -> None:
    talk = Transcript(capacity=1)
    talk.looks_up(CURL, "shop.test", SHOP, MIRROR)
    assert talk.name_of(SHOP) is None
    assert talk.name_of(MIRROR) == "shop.test"
    assert talk.names.statistics().addresses == TableStatistics(used=1, capacity=1, evicted=1)


def test_names_of_an_address_are_bounded(talk: Transcript) -> None:
    for number in range(NAMES_PER_ADDRESS + 1):
        assert talk.looks_up(CURL, f"{number}.test", SHOP) == (SHOP,)
    others = talk.names.find(SHOP, talk.now_s, CURL).others
    assert others == tuple(f"{number}.test" for number in range(NAMES_PER_ADDRESS - 1, 0, -1))
    assert talk.names.statistics().evicted_names == 1


def test_names_that_ended_make_room_without_a_loss(talk: Transcript) -> None:
    for number in range(NAMES_PER_ADDRESS):
        talk.looks_up(CURL, f"{number}.test", SHOP, ttl_s=600)
    talk.now_s += 600
    assert talk.looks_up(CURL, "shop.test", SHOP) == (SHOP,)
    assert talk.names.find(SHOP, talk.now_s, CURL).others == ()
    assert talk.names.statistics().evicted_names == 0


def test_all_names_together_are_bounded() -> None:
    talk = Transcript(capacity=10)
    for number in range(10):
        talk.looks_up(CURL, f"{number}.test", SHOP)
    for number in range(10):
        talk.looks_up(CURL, f"{number}.test", MIRROR)
    assert talk.names.statistics().evicted_names == 0
    talk.looks_up(CURL, "one-more.test", MIRROR)
    assert talk.name_of(SHOP) is None
    assert talk.name_of(MIRROR) == "one-more.test"
    assert talk.names.statistics().evicted_names == 10


def test_the_oldest_asker_of_a_name_is_forgotten(talk: Transcript) -> None:
    for exec_id in range(1, ASKERS_PER_NAME + 2):
        talk.looks_up(exec_id, "shop.test", SHOP)
    talk.looks_up(FIREFOX, "ads.test", SHOP)
    assert talk.name_of(SHOP, exec_id=1) == "ads.test"
    assert talk.name_of(SHOP, exec_id=2) == "shop.test"


# Whatever is said


answers = st.builds(
    Answer,
    id=st.integers(0, 2),
    name=st.sampled_from(["a.test", "b.test", "bank.test"]),
    type=st.sampled_from([A, AAAA]),
    addresses=st.lists(st.tuples(st.sampled_from([SHOP, MIRROR]), st.integers(0, 900)), max_size=3).map(tuple),
    rcode=st.sampled_from([0, 0, 0, 3]),
)
questions = st.builds(Question, id=st.integers(0, 2), name=st.sampled_from(["a.test", "b.test"]), type=st.just(A))
resolvers = st.sampled_from([STUB, ROGUE])


@given(st.lists(st.tuples(resolvers, questions | answers, st.integers(0, 40)), max_size=40))
def test_no_talk_teaches_a_name_that_was_not_asked_of_a_trusted_resolver(
    talk: list[tuple[bytes, Question | Answer, int]],
) -> None:
    machine, asked = Transcript(), set()
    for resolver, message, pause_s in talk:
        machine.now_s += pause_s
        if isinstance(message, Question):
            machine.names.ask(flow_to(resolver), message, CURL, machine.now_s)
            asked |= {message.name} if resolver == STUB else set()
        else:
            machine.names.learn(flow_to(resolver), message, machine.now_s)
    for address in (SHOP, MIRROR):
        facts = machine.names.find(address, machine.now_s, CURL)
        assert {facts.name, *facts.others} - {None} <= asked


@given(st.sampled_from(["id", "name", "type"]), st.integers(0, 65535), st.text("abc.", max_size=8))
def test_a_changed_answer_never_teaches(field: str, number: int, name: str) -> None:
    talk = Transcript()
    talk.asks(CURL, "shop.test")
    answer = Answer(id=talk.last_id, name="shop.test", type=A, addresses=((SHOP, 60),))
    changed = msgspec.structs.replace(answer, **{field: name if field == "name" else number})
    learned = talk.names.learn(flow_to(STUB), changed, talk.now_s)
    assert (learned.refusal is None) == (changed == answer)
