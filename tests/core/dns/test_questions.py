"""Transcripts: which program asks, what the resolver answers, and what is learned."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.dns.resolver_talk import CURL, MIRROR, ROGUE, SHOP, STUB, ResolverTalk, flow_to
from tinysnitch.core.dns.message import DnsAnswer, DnsQuestion
from tinysnitch.core.dns.names import Learned
from tinysnitch.core.dns.questions import QUESTION_LIFE_S, QUESTIONS_PER_ID, Refusal
from tinysnitch.core.dns.wire import AAAA, A
from tinysnitch.core.model.tables import TableStatistics


@pytest.fixture
def talk() -> ResolverTalk:
    return ResolverTalk()


# What teaches nothing


def test_an_answer_without_a_question_is_refused(talk: ResolverTalk) -> None:
    assert talk.hears("shop.test", SHOP, id=7) == Learned((), Refusal.UNSOLICITED)
    assert talk.name_of(SHOP) is None


def test_an_answer_under_another_id_is_refused(talk: ResolverTalk) -> None:
    identifier = talk.asks(CURL, "shop.test")
    assert talk.hears("shop.test", SHOP, id=identifier + 1).refusal is Refusal.UNSOLICITED


def test_an_answer_to_another_flow_is_refused(talk: ResolverTalk) -> None:
    identifier = talk.asks(CURL, "shop.test")
    answer = DnsAnswer(id=identifier, name="shop.test", type=A, addresses=((SHOP, 60),))
    assert talk.names.learn(flow_to(STUB, port=40001), answer, talk.now_s).refusal is Refusal.UNSOLICITED


@pytest.mark.parametrize(("name", "kind"), [("bank.test", A), ("shop.test", AAAA)])
def test_an_answer_to_another_question_is_refused_and_the_right_one_still_learned(
    talk: ResolverTalk, name: str, kind: int
) -> None:
    talk.asks(CURL, "shop.test")
    assert talk.hears(name, SHOP, kind=kind) == Learned((), Refusal.WRONG_QUESTION)
    assert talk.name_of(SHOP) is None
    assert talk.hears("shop.test", SHOP) == Learned((SHOP,))


def test_a_question_is_answered_once(talk: ResolverTalk) -> None:
    talk.asks(CURL, "shop.test")
    talk.hears("shop.test", SHOP)
    assert talk.hears("shop.test", MIRROR) == Learned((), Refusal.UNSOLICITED)
    assert talk.name_of(MIRROR) is None


def test_a_resolver_that_is_not_trusted_teaches_nothing(talk: ResolverTalk) -> None:
    talk.asks(CURL, "bank.test", resolver=ROGUE)
    assert talk.hears("bank.test", SHOP, resolver=ROGUE) == Learned((), Refusal.UNSOLICITED)
    assert talk.name_of(SHOP) is None
    assert talk.names.statistics().questions.used == 0


def test_trust_can_be_taken_away(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    talk.finds(resolvers=frozenset())
    talk.asks(CURL, "shop.test")
    assert talk.hears("shop.test", MIRROR) == Learned((), Refusal.UNSOLICITED)
    assert talk.name_of(SHOP) == "shop.test"


def test_what_was_asked_before_trust_was_taken_away_is_answered(talk: ResolverTalk) -> None:
    talk.asks(CURL, "shop.test")
    talk.finds(resolvers=frozenset({ROGUE}))
    assert talk.hears("shop.test", SHOP) == Learned((SHOP,))
    assert talk.hears("shop.test", MIRROR) == Learned((), Refusal.UNSOLICITED)


@pytest.mark.parametrize(("late_s", "refusal"), [(0.0, None), (0.1, Refusal.UNSOLICITED)])
def test_a_late_answer_is_refused(talk: ResolverTalk, late_s: float, refusal: Refusal | None) -> None:
    talk.asks(CURL, "shop.test")
    talk.now_s += QUESTION_LIFE_S + late_s
    assert talk.hears("shop.test", SHOP).refusal is refusal


@pytest.mark.parametrize(
    ("said", "refusal"),
    [({"rcode": 3}, Refusal.FAILED), ({}, Refusal.NO_ADDRESS), ({"is_truncated": True}, Refusal.TRUNCATED)],
)
def test_an_answer_without_addresses_says_why(talk: ResolverTalk, said: dict[str, int], refusal: Refusal) -> None:
    talk.asks(CURL, "shop.test")
    assert talk.hears("shop.test", **said) == Learned((), refusal)  # type: ignore[arg-type]
    assert talk.refusals() == {refusal: 1}


def test_the_root_names_no_host(talk: ResolverTalk) -> None:
    """With `address=/#/10.0.0.80` dnsmasq answers for the root too, which no rule can name."""
    talk.asks(CURL, ".")
    assert talk.hears(".", SHOP) == Learned((), Refusal.NO_ADDRESS)


def test_a_failure_ends_the_question(talk: ResolverTalk) -> None:
    talk.asks(CURL, "shop.test")
    talk.hears("shop.test", SHOP, rcode=2)
    assert talk.hears("shop.test", SHOP) == Learned((), Refusal.UNSOLICITED)


def test_refusals_are_counted(talk: ResolverTalk) -> None:
    talk.hears("shop.test", SHOP)
    talk.hears("shop.test", SHOP)
    assert talk.names.refuse(Refusal.MALFORMED) == Learned((), Refusal.MALFORMED)
    assert talk.refusals() == {Refusal.UNSOLICITED: 2, Refusal.MALFORMED: 1}


def test_questions_are_bounded(talk: ResolverTalk) -> None:
    talk = ResolverTalk(max_questions=2)
    first = talk.asks(CURL, "a.test")
    talk.asks(CURL, "b.test")
    talk.asks(CURL, "c.test")
    assert talk.hears("a.test", SHOP, id=first).refusal is Refusal.UNSOLICITED
    assert talk.names.statistics().questions == TableStatistics(used=2, evicted=1)


def test_old_questions_make_room_without_a_loss() -> None:
    talk = ResolverTalk(max_questions=2)
    talk.asks(CURL, "a.test")
    talk.asks(CURL, "b.test")
    talk.now_s += QUESTION_LIFE_S + 1
    talk.asks(CURL, "c.test")
    assert talk.names.statistics().questions == TableStatistics(used=1, evicted=0)


def test_a_question_waits_on_beside_an_older_one_of_its_id(talk: ResolverTalk) -> None:
    talk.asks(CURL, "a.test", id=5)
    talk.now_s += QUESTION_LIFE_S
    talk.asks(CURL, "b.test", id=5)
    talk.now_s += 1
    talk.asks(CURL, "c.test", id=6)
    assert talk.hears("b.test", SHOP, id=5).addresses == (SHOP,)


def test_questions_under_one_id_wait_side_by_side(talk: ResolverTalk) -> None:
    for kind in (A, AAAA, A):
        talk.asks(CURL, "shop.test", kind=kind, id=5)
    assert talk.hears("shop.test", SHOP, id=5, kind=AAAA).addresses == (SHOP,)
    assert talk.hears("shop.test", SHOP, id=5, kind=AAAA).refusal is Refusal.WRONG_QUESTION
    assert talk.hears("shop.test", MIRROR, id=5, kind=A).addresses == (MIRROR,)
    assert talk.hears("shop.test", SHOP, id=5, kind=A).refusal is Refusal.ANSWERED


def test_a_question_that_is_sent_again_has_as_many_answers_and_the_first_one_teaches(talk: ResolverTalk) -> None:
    for _ in range(4):
        talk.asks(CURL, "shop.test", id=5)
    assert talk.hears("shop.test", rcode=2).refusal is Refusal.FAILED
    assert talk.hears("shop.test", SHOP).addresses == (SHOP,)
    for refusal in (Refusal.ANSWERED, Refusal.ANSWERED, Refusal.UNSOLICITED):
        assert talk.hears("shop.test", MIRROR) == Learned((), refusal)
    assert talk.name_of(MIRROR) is None


def test_what_is_asked_again_after_its_answer_is_answered_again(talk: ResolverTalk) -> None:
    talk.asks(CURL, "shop.test", id=5)
    talk.asks(CURL, "shop.test", id=5)
    talk.hears("shop.test", SHOP)
    talk.asks(CURL, "shop.test", id=5)
    assert talk.hears("shop.test", MIRROR).addresses == (MIRROR,)


def test_questions_under_one_id_are_bounded(talk: ResolverTalk) -> None:
    for number in range(QUESTIONS_PER_ID + 1):
        talk.asks(CURL, f"{number}.test", id=5)
    assert talk.hears("0.test", SHOP, id=5).refusal is Refusal.WRONG_QUESTION
    assert talk.hears("1.test", SHOP, id=5).addresses == (SHOP,)


# Whatever is said


answers = st.builds(
    DnsAnswer,
    id=st.integers(0, 2),
    name=st.sampled_from(["a.test", "b.test", "bank.test"]),
    type=st.sampled_from([A, AAAA]),
    addresses=st.lists(st.tuples(st.sampled_from([SHOP, MIRROR]), st.integers(0, 900)), max_size=3).map(tuple),
    rcode=st.sampled_from([0, 0, 0, 3]),
)
questions = st.builds(DnsQuestion, id=st.integers(0, 2), name=st.sampled_from(["a.test", "b.test"]), type=st.just(A))
resolvers = st.sampled_from([STUB, ROGUE])


@given(st.lists(st.tuples(resolvers, questions | answers, st.integers(0, 40)), max_size=40))
def test_no_talk_teaches_a_name_that_was_not_asked_of_a_trusted_resolver(
    talk: list[tuple[bytes, DnsQuestion | DnsAnswer, int]],
) -> None:
    machine, asked = ResolverTalk(), set()
    for resolver, message, pause_s in talk:
        machine.now_s += pause_s
        if isinstance(message, DnsQuestion):
            machine.names.ask(flow_to(resolver), message, CURL, machine.now_s)
            asked |= {message.name} if resolver == STUB else set()
        else:
            machine.names.learn(flow_to(resolver), message, machine.now_s)
    for address in (SHOP, MIRROR):
        facts = machine.names.find(address, machine.now_s, CURL)
        assert {facts.name, *facts.others} - {None} <= asked


@given(st.sampled_from(["id", "name", "type"]), st.integers(0, 65535), st.text("abc.", max_size=8))
def test_a_changed_answer_never_teaches(field: str, number: int, name: str) -> None:
    talk = ResolverTalk()
    talk.asks(CURL, "shop.test")
    answer = DnsAnswer(id=talk.last_id, name="shop.test", type=A, addresses=((SHOP, 60),))
    changed = msgspec.structs.replace(answer, **{field: name if field == "name" else number})
    learned = talk.names.learn(flow_to(STUB), changed, talk.now_s)
    assert (learned.refusal is None) == (changed == answer)


# What is forgotten


@pytest.mark.parametrize("users", [(1000,), (999,), (0,), (1000, 1002, 1003, 1004)], ids=str)
def test_no_users_questions_push_out_those_of_others(users: tuple[int, ...]) -> None:
    talk = ResolverTalk(max_questions=100)
    asked = talk.asks(CURL, "shop.test", user=1001)
    for number in range(200):
        talk.asks(5000 + number, f"{number}.test", user=users[number % len(users)])
    assert talk.names.statistics().questions == TableStatistics(100, 101)
    assert talk.hears("shop.test", SHOP, id=asked).addresses == (SHOP,)


def test_a_user_whose_questions_are_answered_has_room_again() -> None:
    talk = ResolverTalk(max_questions=10)
    first = talk.asks(CURL, "a.test", user=1000)
    for number in range(100):
        talk.looks_up(CURL, f"{number}.test", MIRROR)
        talk.asks(CURL, "b.test", id=7, user=1000)
        talk.asks(CURL, "c.test", id=8, user=1000)
        talk.hears("c.test", MIRROR, id=8)
    assert talk.hears("a.test", SHOP, id=first).addresses == (SHOP,)


def test_questions_that_are_over_take_no_room() -> None:
    talk = ResolverTalk(max_questions=10)
    for number in range(10):
        talk.asks(CURL, f"{number}.test", user=1000)
    talk.now_s += QUESTION_LIFE_S + 1
    asked = [talk.asks(CURL, f"{number}.test", user=1000) for number in range(10)]
    assert talk.hears("0.test", SHOP, id=asked[0]).addresses == (SHOP,)
    assert talk.names.statistics().questions.evicted == 0
