"""What is known of names, from one daemon to the next."""

import pytest

from tests.core.dns.resolver_talk import CURL, FIREFOX, MIRROR, SHOP, ResolverTalk
from tinysnitch.core.dns.names import ASKERS_PER_NAME, KEPT_S, NAMES_PER_ADDRESS


@pytest.fixture
def talk() -> ResolverTalk:
    return ResolverTalk()


def handed_over(before: ResolverTalk, capacity: int = 100) -> ResolverTalk:
    after = ResolverTalk(capacity)
    after.now_s = before.now_s
    after.names.restore(before.names.known(before.now_s))
    return after


def test_what_was_known_is_known_again_for_everyone_as_before(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "a.test", SHOP, MIRROR)
    talk.looks_up(FIREFOX, "b.test", SHOP, ttl_s=900)
    after = handed_over(talk)
    for address in (SHOP, MIRROR):
        for who in (CURL, FIREFOX, 0):
            assert after.names.find(address, after.now_s, who) == talk.names.find(address, talk.now_s, who)
    assert list(after.names.known(after.now_s)) == list(talk.names.known(talk.now_s))


def test_what_is_a_guess_stays_one(talk: ResolverTalk) -> None:
    for who in (CURL, *range(1, ASKERS_PER_NAME + 1)):
        talk.looks_up(who, "ads.test", SHOP)
    talk.looks_up(CURL, "shop.test", SHOP)
    for each in (talk, handed_over(talk)):
        assert (each.name_of(SHOP, CURL), each.names.find(SHOP, each.now_s, CURL).is_sure) == ("shop.test", False)


def test_a_question_after_that_is_newer_than_all_before(talk: ResolverTalk) -> None:
    for name in ("a.test", "b.test", "c.test"):
        talk.looks_up(CURL, name, SHOP)
    after = handed_over(talk)
    after.looks_up(FIREFOX, "d.test", SHOP)
    assert after.names.find(SHOP, after.now_s).name == "d.test"
    assert after.name_of(SHOP, CURL) == "c.test"


def test_what_has_ended_is_not_handed_over(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "a.test", SHOP)
    talk.now_s += 600
    assert [one.name for one in talk.names.known(talk.now_s)] == ["a.test"]  # who asked may have kept the address
    talk.now_s += KEPT_S
    assert list(talk.names.known(talk.now_s)) == []


def test_what_is_handed_over_finds_the_room_there_is(talk: ResolverTalk) -> None:
    for number in range(NAMES_PER_ADDRESS):
        talk.looks_up(CURL, f"{number}.test", SHOP)
    talk.looks_up(CURL, "mirror.test", MIRROR)
    after = handed_over(talk, capacity=1)
    assert after.name_of(SHOP) is None
    assert after.name_of(MIRROR) == "mirror.test"
    after.looks_up(CURL, "other.test", MIRROR)
    assert after.names.statistics().evicted_names == 0


def test_who_looked_it_up_is_handed_over(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "mirror.test", MIRROR, user=1000)
    for number in range(9):
        talk.looks_up(FIREFOX, "shop.test", bytes([198, 51, 100, number]), user=1001)
    after = handed_over(talk, capacity=5)
    assert after.name_of(MIRROR) == "mirror.test"
    assert {one.users for one in after.names.known(after.now_s)} == {(1000,), (1001,)}


def test_what_is_handed_over_counts_as_what_is_learned() -> None:
    before = ResolverTalk()
    for number in range(NAMES_PER_ADDRESS):
        before.looks_up(CURL, f"{number}.test", SHOP, MIRROR)
    after = handed_over(before, capacity=10)  # for twenty names
    assert (after.name_of(SHOP), after.name_of(MIRROR)) == (None, f"{NAMES_PER_ADDRESS - 1}.test")
    after.names.restore(list(after.names.known(after.now_s)))  # the same again takes no more room
    assert after.names.statistics().evicted_names == NAMES_PER_ADDRESS
    for number in range(5):
        after.looks_up(CURL, "other.test", bytes([192, 0, 2, number]))
    assert after.name_of(MIRROR) is None
