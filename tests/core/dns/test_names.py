"""Transcripts: which program asks, what the resolver answers, and what is believed then."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.dns.names_walk import STEPS, NamesWalk
from tests.core.dns.resolver_talk import CURL, FIREFOX, MIN_TTL_S, MIRROR, SHOP, STUB, ResolverTalk, flow_to
from tinysnitch.core.dns.belief import NameFacts
from tinysnitch.core.dns.message import DnsAnswer
from tinysnitch.core.dns.names import ASKERS_PER_NAME, KEPT_S, MAX_NAME_TTL_S, NAMES_PER_ADDRESS, Learned
from tinysnitch.core.dns.wire import HTTPS, MAX_RECORDS, A
from tinysnitch.core.model.connection import NameSource
from tinysnitch.core.model.tables import TableStatistics


@pytest.fixture
def talk() -> ResolverTalk:
    return ResolverTalk()


def test_an_answer_to_a_question_is_learned(talk: ResolverTalk) -> None:
    talk.asks(CURL, "shop.test")
    assert talk.hears("shop.test", SHOP, MIRROR) == Learned((SHOP, MIRROR))
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts("shop.test", (), 10.0 + KEPT_S, is_sure=True)
    assert talk.names.find(SHOP, talk.now_s, FIREFOX) == NameFacts("shop.test", (), 10.0 + 600)
    assert talk.name_of(MIRROR) == "shop.test"
    assert talk.refusals() == {}


def test_an_address_nobody_asked_for_has_no_name(talk: ResolverTalk) -> None:
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts(None, (), float("inf"))


# Which name decides


def test_the_newest_question_decides_and_the_others_are_told(talk: ResolverTalk) -> None:
    for name in ("a.test", "b.test", "c.test"):
        talk.looks_up(CURL, name, SHOP)
    assert talk.names.find(SHOP, talk.now_s) == NameFacts("c.test", ("b.test", "a.test"), 610.0)


def test_the_question_counts_and_not_when_its_answer_comes(talk: ResolverTalk) -> None:
    first = talk.asks(CURL, "a.test")
    second = talk.asks(CURL, "b.test")
    assert talk.hears("b.test", SHOP, id=second) == Learned((SHOP,))
    assert talk.hears("a.test", SHOP, id=first) == Learned((SHOP,))  # it may be meant as well
    assert talk.name_of(SHOP) == talk.name_of(SHOP, CURL) == "b.test"


def test_only_a_change_is_told(talk: ResolverTalk) -> None:
    assert talk.looks_up(CURL, "a.test", SHOP) == (SHOP,)
    assert talk.looks_up(CURL, "a.test", SHOP) == ()
    assert talk.looks_up(FIREFOX, "a.test", SHOP) == ()
    assert talk.looks_up(FIREFOX, "b.test", SHOP, MIRROR) == (SHOP, MIRROR)
    assert talk.looks_up(CURL, "a.test", SHOP) == (SHOP,)


def test_a_name_that_may_be_meant_as_well_is_told(talk: ResolverTalk) -> None:
    """Also where another name still decides for every process."""
    first, second = talk.asks(CURL, "a.test"), talk.asks(CURL, "b.test")
    third = talk.asks(FIREFOX, "c.test")
    assert talk.hears("c.test", SHOP, id=third).addresses == talk.hears("a.test", SHOP, id=first).addresses == (SHOP,)
    assert talk.hears("b.test", SHOP, id=second) == Learned((SHOP,))
    assert talk.name_of(SHOP) == "c.test"


# Where else a name may come from


def test_a_name_of_hosts_is_known(talk: ResolverTalk) -> None:
    talk.finds(hosts={SHOP: ("nas", "files")})
    assert talk.names.find(SHOP, 10.0, CURL) == NameFacts("nas", ("files",), source=NameSource.HOSTS)


def test_where_a_name_leads_is_known_while_it_lives(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    assert talk.names.find_address("shop.test", talk.now_s) == SHOP
    assert talk.names.find_address("bank.test", talk.now_s) is None
    assert talk.names.find_address("shop.test", talk.now_s + 600) is None
    talk.finds(hosts={MIRROR: ("nas", "shop.test")})
    assert talk.names.find_address("shop.test", talk.now_s + 600) == MIRROR
    assert talk.names.find_address("bank.test", talk.now_s) is None


def test_of_several_addresses_the_last_one_that_was_looked_at_is_where_a_name_leads(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP, MIRROR)
    assert talk.names.find_address("shop.test", talk.now_s) == MIRROR
    talk.name_of(SHOP)
    assert talk.names.find_address("shop.test", talk.now_s) == SHOP


def test_a_service_is_named_by_its_host(talk: ResolverTalk) -> None:
    talk.asks(CURL, "_8443._https.shop.test", kind=HTTPS)
    talk.hears("_8443._https.shop.test", SHOP, kind=HTTPS)
    assert talk.name_of(SHOP, CURL) == "shop.test"


def test_an_address_of_this_machine_has_no_name_for_who_did_not_ask(talk: ResolverTalk) -> None:
    talk.finds(own_addresses=frozenset({SHOP}))
    assert talk.looks_up(CURL, "ads.test", SHOP, ttl_s=600) == (SHOP,)  # for curl
    assert talk.name_of(SHOP) is None
    assert talk.names.find(SHOP, talk.now_s, FIREFOX) == NameFacts()
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts("ads.test", (), 610.0, is_sure=True)
    talk.finds(own_addresses=frozenset({SHOP}), hosts={SHOP: ("here",)})
    assert talk.name_of(SHOP, FIREFOX) == "here"


# How long it lives


def test_a_name_lives_as_long_as_its_ttl(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=600)
    talk.now_s += 599
    assert talk.name_of(SHOP) == "shop.test"
    talk.now_s += 1
    assert talk.name_of(SHOP) is None


@pytest.mark.parametrize(("ttl_s", "lives_s"), [(1, MIN_TTL_S), (2**31 - 1, MAX_NAME_TTL_S)])
def test_a_life_has_bounds(talk: ResolverTalk, ttl_s: int, lives_s: float) -> None:
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=ttl_s)
    assert talk.names.find(SHOP, talk.now_s).expires_s == 10.0 + lives_s


def test_an_address_given_twice_lives_longest(talk: ResolverTalk) -> None:
    identifier = talk.asks(CURL, "shop.test")
    answer = DnsAnswer(id=identifier, name="shop.test", type=A, addresses=((SHOP, 900), (SHOP, 600)))
    assert talk.names.learn(flow_to(STUB), answer, talk.now_s) == Learned((SHOP,))
    assert talk.names.find(SHOP, talk.now_s).expires_s == 910.0


def test_a_name_that_comes_again_after_its_end_is_told_for_who_did_not_ask(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    talk.now_s += 700
    assert talk.looks_up(CURL, "shop.test", SHOP) == (SHOP,)


# Bounds


def test_addresses_are_bounded() -> None:
    talk = ResolverTalk(capacity=1)
    talk.looks_up(CURL, "shop.test", SHOP, MIRROR)
    assert [talk.name_of(SHOP), talk.name_of(MIRROR)] == [None, "shop.test"]
    talk.now_s += KEPT_S  # what has ended is no loss
    talk.looks_up(CURL, "shop.test", SHOP)
    assert talk.names.statistics().addresses == TableStatistics(used=1, evicted=1)


def test_names_of_an_address_are_bounded(talk: ResolverTalk) -> None:
    for number in range(NAMES_PER_ADDRESS + 1):
        assert talk.looks_up(CURL, f"{number}.test", SHOP) == (SHOP,)
    others = talk.names.find(SHOP, talk.now_s, CURL).others
    assert others == tuple(f"{number}.test" for number in range(NAMES_PER_ADDRESS - 1, 0, -1))
    assert talk.names.statistics().evicted_names == 1


def test_that_a_name_had_to_go_is_told_also_where_nobody_else_is_meant(talk: ResolverTalk) -> None:
    talk.finds(own_addresses=frozenset({SHOP}))
    for number in range(NAMES_PER_ADDRESS):
        talk.looks_up(1000 + number, f"{number}.test", SHOP)
    assert talk.looks_up(0, "shop.test", SHOP) == (SHOP,)
    assert talk.name_of(SHOP, 1000) is None


def test_names_of_one_program_push_out_none_that_another_asked_for(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    talk.now_s += 600  # who asked keeps it
    for number in range(2 * NAMES_PER_ADDRESS):
        talk.looks_up(FIREFOX, f"n{number}.test", SHOP)
    assert talk.name_of(SHOP, CURL) == "shop.test"
    assert talk.name_of(SHOP, FIREFOX) == talk.name_of(SHOP) == f"n{2 * NAMES_PER_ADDRESS - 1}.test"


def test_the_newest_name_stays_also_where_nobody_is_known_to_mean_it(talk: ResolverTalk) -> None:
    for number in range(2 * NAMES_PER_ADDRESS):
        talk.looks_up(1000 + number, f"n{number}.test", SHOP)
    talk.looks_up(0, "shop.test", SHOP)
    assert talk.name_of(SHOP) == "shop.test"


def test_names_that_ended_make_room_without_a_loss(talk: ResolverTalk) -> None:
    for number in range(NAMES_PER_ADDRESS):
        talk.looks_up(CURL, f"{number}.test", SHOP, ttl_s=600)
    talk.now_s += 600
    assert talk.looks_up(CURL, "shop.test", SHOP) == (SHOP,)
    assert talk.names.find(SHOP, talk.now_s, CURL).others == ()
    assert talk.names.statistics().evicted_names == 0


def test_no_user_can_push_out_what_another_looked_up() -> None:
    talk = ResolverTalk(capacity=10)  # for twenty names
    talk.looks_up(CURL, "shop.test", SHOP, user=1000)
    talk.looks_up(FIREFOX, "shop.test", SHOP, user=1001)
    talk.looks_up(CURL, "mirror.test", MIRROR)
    for number in range(300):
        talk.looks_up(FIREFOX, f"{number % 15}.test", bytes([198, 51, 100, number // 15]), user=1001)
    assert (talk.name_of(SHOP), talk.name_of(MIRROR)) == ("shop.test", "mirror.test")


def test_all_names_together_are_bounded() -> None:
    talk = ResolverTalk(capacity=10)
    for number in range(10):
        talk.looks_up(CURL, f"{number}.test", SHOP)
    for number in range(10):
        talk.looks_up(CURL, f"{number}.test", MIRROR)
    assert talk.names.statistics().evicted_names == 0
    talk.looks_up(CURL, "one-more.test", MIRROR)
    assert talk.name_of(SHOP) is None
    assert talk.name_of(MIRROR) == "one-more.test"
    assert talk.names.statistics().evicted_names == 10


def test_names_of_addresses_that_went_count_no_more() -> None:
    talk = ResolverTalk(capacity=10)  # for twenty names
    for number in range(100):
        talk.looks_up(CURL, "shop.test", bytes([198, 51, 100, number]))
    for number in range(NAMES_PER_ADDRESS - 1):
        talk.looks_up(CURL, f"{number}.test", SHOP)
    assert talk.names.statistics().addresses == TableStatistics(used=6, evicted=91)
    for number in range(NAMES_PER_ADDRESS - 1):
        talk.looks_up(CURL, f"{number}.test", MIRROR)
    assert talk.name_of(SHOP) is None
    talk.looks_up(CURL, "shop.test", SHOP)
    assert talk.names.statistics().addresses.used == 2


def test_an_asker_that_has_ended_is_forgotten_else_the_oldest() -> None:
    talk = ResolverTalk(has_ended={7}.__contains__)
    askers = range(1, ASKERS_PER_NAME + 3)
    for exec_id in askers:
        talk.looks_up(exec_id, "shop.test", SHOP)
    talk.looks_up(FIREFOX, "ads.test", SHOP)
    assert [who for who in askers if talk.name_of(SHOP, exec_id=who) == "ads.test"] == [1, 7]


def test_askers_that_ended_leave_together() -> None:
    """A shell loop starts a new program for each look-up: one in nine of them looks for askers that ended."""
    looked_up: list[int] = []

    def has_ended(exec_id: int) -> bool:
        looked_up.append(exec_id)
        return exec_id not in (1, newest)

    talk = ResolverTalk(has_ended=has_ended)
    for newest in range(1, 100):
        talk.looks_up(newest, "shop.test", SHOP)
    assert len(looked_up) < 2 * 99
    talk.looks_up(FIREFOX, "ads.test", SHOP)
    assert talk.name_of(SHOP, exec_id=1) == "shop.test"


def test_an_asker_is_looked_up_once_for_all_addresses_of_an_answer() -> None:
    """An answer may have 256 addresses. With nine askers that still run, each answer took 19 ms more."""
    looked_up: list[int] = []
    talk = ResolverTalk(has_ended=lambda exec_id: bool(looked_up.append(exec_id)))  # type: ignore[func-returns-value]
    addresses = [b"\xfe" * 15 + bytes([number]) for number in range(20)]
    for exec_id in range(1, ASKERS_PER_NAME + 2):
        talk.looks_up(exec_id, "shop.test", *addresses)
    assert sorted(looked_up) == list(range(1, ASKERS_PER_NAME + 2))


def test_an_address_with_all_names_and_askers_it_can_have_is_soon_known_by_another(talk: ResolverTalk) -> None:
    for who in range(NAMES_PER_ADDRESS * ASKERS_PER_NAME):
        talk.looks_up(1000 + who, f"{who // ASKERS_PER_NAME}.test", SHOP)
    talk.now_s += 2 * MIN_TTL_S
    begun_s = time.thread_time()
    talk.looks_up(CURL, "one-more.test", SHOP)
    assert time.thread_time() - begun_s < 0.001  # and an answer may have 256 of them


def test_an_answer_with_all_addresses_it_can_have_is_soon_learned() -> None:
    """Each address has as many names as it can have, and another one decides afterwards."""
    talk = ResolverTalk(capacity=2 * MAX_RECORDS)
    addresses = [b"\xfe" * 14 + number.to_bytes(2, "big") for number in range(MAX_RECORDS)]
    took_s = []
    for number in range(4 * NAMES_PER_ADDRESS):
        talk.asks(1000 + number, f"{number % NAMES_PER_ADDRESS}.test")
        begun_s = time.thread_time()
        assert len(talk.hears(f"{number % NAMES_PER_ADDRESS}.test", *addresses).addresses) == MAX_RECORDS
        took_s.append(time.thread_time() - begun_s)
    assert min(took_s[NAMES_PER_ADDRESS:]) < 0.003  # 1 ms; 8 where all meanings are compared each time


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=30), st.sampled_from([2, 3]))
def test_whatever_is_believed_anew_is_told_and_handed_over(steps: list[tuple[str]], capacity: int) -> None:
    walk = NamesWalk(capacity)
    for step in steps:
        walk.take(*step)
