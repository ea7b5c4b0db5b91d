"""Which of an address's names a process means, and how long."""

import pytest

from tests.core.dns.resolver_talk import CURL, FIREFOX, MIRROR, SHOP, STUB, ResolverTalk, flow_to
from tinysnitch.core.dns.belief import NameFacts
from tinysnitch.core.dns.message import DnsAnswer
from tinysnitch.core.dns.names import ASKERS_PER_NAME, KEPT_S, NAMES_PER_ADDRESS, Learned
from tinysnitch.core.dns.questions import Asked
from tinysnitch.core.dns.wire import A
from tinysnitch.core.model.connection import NameSource
from tinysnitch.core.model.process import KERNEL_EXEC_ID


@pytest.fixture
def talk() -> ResolverTalk:
    return ResolverTalk()


def test_a_name_is_sure_for_who_asked_for_it_and_for_no_other_of_the_address(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "a.test", SHOP)
    talk.looks_up(0, "b.test", SHOP)
    assert talk.names.find(SHOP, talk.now_s, CURL).is_sure
    assert not talk.names.find(SHOP, talk.now_s).is_sure
    talk.looks_up(CURL, "c.test", SHOP)
    assert not talk.names.find(SHOP, talk.now_s, CURL).is_sure


def test_a_process_means_the_name_that_it_asked_for(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    talk.looks_up(FIREFOX, "ads.test", SHOP)
    assert talk.name_of(SHOP, CURL) == "shop.test"
    assert talk.name_of(SHOP, FIREFOX) == "ads.test"
    assert talk.name_of(SHOP) == "ads.test"
    assert talk.names.find(SHOP, talk.now_s, CURL).others == ("ads.test",)


def test_of_its_own_names_its_newest_question_decides(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "a.test", SHOP)
    talk.looks_up(CURL, "b.test", SHOP)
    talk.looks_up(FIREFOX, "a.test", SHOP)
    assert talk.name_of(SHOP, CURL) == "b.test"


def test_a_name_that_its_new_asker_alone_means_is_told(talk: ResolverTalk) -> None:
    """It decided before, but others could be meant too."""
    talk.looks_up(CURL, "a.test", SHOP)
    talk.looks_up(CURL, "b.test", SHOP)
    assert talk.looks_up(FIREFOX, "b.test", SHOP) == (SHOP,)
    assert talk.looks_up(FIREFOX, "b.test", SHOP) == ()


def test_who_asks_anew_for_a_name_of_hosts_means_it_from_then_on(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "a.test", SHOP)
    talk.finds(hosts={SHOP: ("b.test",)})
    assert talk.looks_up(FIREFOX, "a.test", SHOP) == (SHOP,)


def test_an_unknown_process_is_no_asker(talk: ResolverTalk) -> None:
    talk.looks_up(0, "a.test", SHOP)
    talk.looks_up(0, "b.test", SHOP)
    assert talk.name_of(SHOP, 0) == "b.test"


def test_a_name_of_hosts_decides_for_who_did_not_ask(talk: ResolverTalk) -> None:
    talk.finds(hosts={SHOP: ("nas", "ads.test")})
    assert talk.looks_up(CURL, "ads.test", SHOP) == (SHOP,)  # for curl
    assert talk.names.find(SHOP, 10.0, FIREFOX) == NameFacts("nas", ("ads.test",), source=NameSource.HOSTS)
    assert talk.names.find(SHOP, 10.0, CURL) == NameFacts("ads.test", ("nas",), 10.0 + KEPT_S)


def test_what_others_ask_does_not_decide_where_hosts_does(talk: ResolverTalk) -> None:
    talk.finds(hosts={SHOP: ("nas",)})
    assert talk.looks_up(0, "evil.test", SHOP) == (SHOP,)  # it may be meant
    assert talk.looks_up(0, "evil.test", SHOP) == ()
    assert talk.name_of(SHOP) == "nas"


def link_claim(talk: ResolverTalk, name: str, exec_id: int = 0, ttl_s: int = 600) -> Learned:
    asked = Asked(name, A, exec_id, talk.names.questions.next_number(), talk.now_s, NameSource.MDNS)
    return talk.names.believe(asked, [(SHOP, ttl_s)], talk.now_s)


def test_a_name_of_the_link_comes_last(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP)
    link_claim(talk, "printer.local")
    facts = talk.names.find(SHOP, 10.0, FIREFOX)
    assert (facts.name, facts.others, facts.source) == ("shop.test", ("printer.local",), NameSource.DNS)


def test_a_name_of_the_link_is_marked(talk: ResolverTalk) -> None:
    assert link_claim(talk, "printer.local") == Learned((SHOP,))
    assert talk.names.find(SHOP, 10.0).source is NameSource.MDNS


def test_the_link_prolongs_no_name_of_a_resolver(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "host.local", SHOP, ttl_s=600)
    link_claim(talk, "host.local", FIREFOX, ttl_s=6000)
    facts = talk.names.find(SHOP, 10.0, FIREFOX)
    assert (facts.source, facts.expires_s, facts.is_sure) == (NameSource.DNS, 610.0, False)
    link_claim(talk, "other.local")
    talk.looks_up(CURL, "other.local", SHOP)
    assert talk.names.find(SHOP, 10.0, CURL).source is NameSource.DNS


def test_aliases_are_known(talk: ResolverTalk) -> None:
    identifier = talk.asks(CURL, "shop.test")
    answer = DnsAnswer(id=identifier, name="shop.test", type=A, addresses=((SHOP, 600),), cnames=("edge.cdn.test",))
    talk.names.learn(flow_to(STUB), answer, talk.now_s)
    assert talk.names.find(SHOP, 10.0, CURL).aliases == ("edge.cdn.test",)
    assert talk.names.find(SHOP, 700.0, KERNEL_EXEC_ID).aliases == ("edge.cdn.test",)


def test_a_new_answer_prolongs_and_never_shortens(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=600)
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=1)
    assert talk.names.find(SHOP, talk.now_s).expires_s == 610.0
    talk.looks_up(CURL, "shop.test", SHOP, ttl_s=900)
    assert talk.names.find(SHOP, talk.now_s).expires_s == 910.0


def test_an_older_name_decides_again_when_the_newer_one_ends(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "old.test", SHOP, ttl_s=900)
    talk.looks_up(CURL, "new.test", SHOP, ttl_s=400)
    talk.now_s += 500
    assert talk.names.find(SHOP, talk.now_s) == NameFacts("old.test", (), 910.0)
    assert talk.looks_up(CURL, "new.test", SHOP) == (SHOP,)


def test_who_asked_keeps_the_address_and_so_its_name(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "time.test", SHOP)
    talk.now_s += 15 * 24 * 3600  # chronyd asks again after 14 days
    assert talk.name_of(SHOP) is None
    assert talk.name_of(SHOP, CURL) == "time.test"
    assert talk.looks_up(FIREFOX, "other.test", SHOP) == (SHOP,)
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts(
        "time.test", ("other.test",), 10.0 + KEPT_S, is_sure=True
    )
    talk.now_s = 10.0 + KEPT_S
    assert talk.name_of(SHOP, CURL) is None


def test_what_was_asked_for_since_takes_the_place_of_a_name_that_ended(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "old.test", SHOP)
    talk.looks_up(CURL, "new.test", SHOP)
    talk.now_s += 700
    assert talk.names.find(SHOP, talk.now_s, CURL) == NameFacts("new.test", (), 10.0 + KEPT_S, is_sure=True)
    talk.looks_up(FIREFOX, "other.test", SHOP)
    assert talk.names.find_address("old.test", 10.0) is None
    assert talk.name_of(SHOP, CURL) == "new.test"


def test_a_name_that_ended_stays_while_one_that_asked_for_it_has_asked_for_no_other(talk: ResolverTalk) -> None:
    talk.looks_up(CURL, "old.test", SHOP)
    talk.looks_up(FIREFOX, "old.test", SHOP)
    talk.looks_up(CURL, "new.test", SHOP)
    talk.now_s += 700
    talk.looks_up(0, "other.test", SHOP)
    assert talk.name_of(SHOP, FIREFOX) == "old.test"


def test_a_name_that_nobody_is_known_to_have_asked_for_goes_with_its_end(talk: ResolverTalk) -> None:
    talk.looks_up(0, "old.test", SHOP)
    talk.now_s += 700
    talk.looks_up(CURL, "new.test", SHOP)
    assert [one.name for one in talk.names.known(talk.now_s)] == ["new.test"]


def test_the_kernel_goes_on_with_the_address_that_it_was_told(talk: ResolverTalk) -> None:
    """The kernel asks no resolver. A mount or a tunnel is set up once, by a program that may have ended."""
    talk.looks_up(CURL, "nas.test", SHOP)
    talk.looks_up(FIREFOX, "www.test", SHOP, ttl_s=3600)
    assert talk.name_of(SHOP, KERNEL_EXEC_ID) == talk.name_of(SHOP) == "www.test"
    talk.now_s += 3600
    assert talk.name_of(SHOP) is None
    assert talk.names.find(SHOP, talk.now_s, KERNEL_EXEC_ID) == NameFacts("www.test", (), 10.0 + KEPT_S)
    talk.now_s = 10.0 + KEPT_S
    assert talk.name_of(SHOP, KERNEL_EXEC_ID) is None


def test_a_name_of_the_link_is_kept_for_no_asker(talk: ResolverTalk) -> None:
    link_claim(talk, "printer.local", CURL)
    talk.now_s += 700
    assert talk.name_of(SHOP, CURL) is None
    assert talk.name_of(SHOP, KERNEL_EXEC_ID) is None


def test_a_name_of_the_link_that_has_ended_takes_no_name_of_a_resolver_along(talk: ResolverTalk) -> None:
    """The asker's verdicts rest on the resolver's name again; if that ended too, they would not be taken back."""
    talk.looks_up(CURL, "shop.test", SHOP)
    link_claim(talk, "printer.local", CURL)
    talk.now_s += 700
    assert talk.name_of(SHOP, CURL) == "shop.test"
    talk.looks_up(FIREFOX, "ads.test", SHOP)
    assert talk.name_of(SHOP, CURL) == "shop.test"


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
