"""DNS messages on their way, and what a resolver of this machine tells that it answered; see transcript.py."""

from collections.abc import Callable

import dns.message
import msgspec
import pytest

from tests.core.dns.test_tracker import CURL_ID, FACTS, ROGUE, Talk, answer, question, udp
from tests.core.engine.transcript import CURL, SHOP, Transcript, flow_of, inbound, told_of, yes
from tinysnitch.core.dns.questions import Refusal
from tinysnitch.core.engine import events as ev
from tinysnitch.core.model.flow import UDP, Flow, parse_address
from tinysnitch.core.model.process import KERNEL_EXEC_ID, asker_of

SHOP_FLOW = flow_of()


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_name_is_learned_before_its_answer_goes_on() -> None:
    engine = Transcript("allow shop.test 443 tcp")
    assert engine.resolve("shop.test", SHOP) == ["pass 1", "pass 2"]
    assert "allow 3" in engine.queue()


def test_another_name_takes_back_what_the_kernel_remembers() -> None:
    engine = Transcript("allow shop.test 443 tcp", "deny ads.test - -")
    engine.resolve("shop.test", SHOP)
    engine.queue(flow_of(1))
    assert engine.resolve("ads.test", SHOP) == ["pass 4", "forget 1", "pass 5"]
    assert "deny 6" in engine.queue(flow_of(2))


def test_what_is_no_dns_message_goes_on_and_teaches_nothing() -> None:
    engine = Transcript()
    flow = flow_of(1, "10.0.0.53", 53, UDP)
    told = "lost DNS question to 10.0.0.53 not learned: malformed 1"
    assert engine.say(ev.QuestionSent(1, flow, asker_of(CURL), b"no question")) == ["pass 1", told]
    assert engine.say(ev.AnswerReceived(2, flow, b"no answer")) == ["pass 2"]  # once said is enough
    assert sum(engine.engine.dns.names.statistics().refusals.values()) == 2


def test_that_a_server_is_not_trusted_is_told_once_the_program_connects() -> None:
    engine = Transcript("allow - - -")
    asked = dns.message.make_query("shop.test", "A").to_wire()
    assert engine.say(ev.QuestionSent(1, flow_of(1, "198.51.100.66", 53, UDP), asker_of(CURL), asked)) == ["pass 1"]
    told = "lost DNS question to 198.51.100.66 not learned: resolver not trusted 1"
    assert engine.queue()[0] == told
    assert told not in engine.queue(flow_of(2))


# What a resolver tells, though not to whom, and a moment late


def test_what_a_resolver_tells_that_it_answered_is_the_newest_question(talk: Talk) -> None:
    for name in ("ads.test", "shop.test", "ads.test"):
        assert talk.dns.believe(told_of(name), 10.0) == (parse_address(SHOP),)
        assert talk.name_of(SHOP) == name
    assert talk.dns.believe(told_of("ads.test"), 10.0) == ()


@pytest.mark.parametrize("name", ["printer.local", "nas", "_gateway"])
def test_what_it_tells_of_names_of_the_link_teaches_nothing(talk: Talk, name: str) -> None:
    assert talk.dns.believe(told_of(name), 10.0) == ()
    assert talk.name_of(SHOP) is None


def test_a_label_that_a_search_domain_completed_renews_the_name_that_came_of_it(talk: Talk) -> None:
    """Programs ask systemd-resolved for `nas`, and it tells that this was answered by what `nas.test` has."""
    for name in ("nas.test", "ads.test"):
        talk.dns.believe(told_of(name), 10.0)
    assert talk.dns.believe(told_of("nas.test", "nas"), 10.0) == (parse_address(SHOP),)
    assert talk.name_of(SHOP) == "nas.test"


def test_a_search_domain_completes_labels_alone(talk: Talk) -> None:
    for name in ("nas.home.test", "ads.test"):
        talk.dns.believe(told_of(name), 10.0)
    assert talk.dns.believe(told_of("nas.home.test", "nas.home"), 10.0) == ()
    assert talk.name_of(SHOP) == "ads.test"


@pytest.mark.parametrize(
    ("name", "asked"), [("nas.test", "nas"), ("ads.test", "nas"), ("nas.ads.test", "nas"), ("nas.local", "nas")]
)
def test_no_name_is_new_that_a_label_was_completed_to(talk: Talk, name: str, asked: str) -> None:
    """A machine of the link may answer a label (LLMNR), with records for any name: systemd-resolved tells them."""
    talk.dns.believe(told_of("ads.test"), 10.0)
    assert talk.dns.believe(told_of(name, asked), 10.0) == ()
    assert talk.name_of(SHOP) == "ads.test"


def test_what_it_tells_may_be_anything(talk: Talk) -> None:
    assert talk.dns.believe(b"no answer", 10.0) == ()
    assert talk.refusals() == {Refusal.MALFORMED: 1}


def test_whose_question_a_resolver_may_be_about_to_tell(talk: Talk) -> None:
    def is_early(flow: Flow = SHOP_FLOW, exec_id: int = CURL_ID) -> bool:
        return talk.dns.is_early(flow, exec_id, 10.0)

    talk.dns.names.set_facts(msgspec.structs.replace(FACTS, own_addresses=frozenset({parse_address("10.0.0.2")})))
    assert not is_early()
    talk.dns.is_told = True
    assert is_early()
    assert not is_early(exec_id=KERNEL_EXEC_ID)
    assert not is_early(inbound())
    assert not is_early(flow_of(1, "127.0.0.1", 80))
    assert not is_early(flow_of(1, "10.0.0.2", 80))
    talk.ask(udp(), question().to_wire())
    talk.hear(udp(), answer())
    assert not is_early()  # it asks by packets
    assert is_early(exec_id=CURL_ID + 1)


def test_that_it_is_a_resolver_may_be_known_in_a_moment(talk: Talk) -> None:
    """That of a network which was just joined: programs may read the new resolv.conf before the daemon does."""
    assert talk.dns.is_early(udp(ROGUE), CURL_ID, 10.0)
    assert not talk.dns.is_early(udp(), CURL_ID, 10.0)
    talk.use(inbound(port=53, protocol=UDP))
    assert not talk.dns.is_early(udp(ROGUE), CURL_ID, 10.0)  # a resolver that recurses asks thousands


def test_where_a_resolver_tells_what_it_answered_no_guess_is_remembered_for_a_program() -> None:
    """The resolver may tell the other name only after the program has connected again."""
    engine = Transcript("allow *.test 443 tcp")
    shop, ads = (told_of(name) for name in ("shop.test", "ads.test"))
    assert engine.say(ev.LookUpsTold()) == []
    assert engine.say(ev.LookUpsTold((shop,))) == []
    assert "remember allow" in engine.queue(flow_of(1))
    assert engine.say(ev.LookUpsTold((shop, ads))) == ["forget 1"]
    assert "remember flow allow" in engine.queue(flow_of(2))
    engine.resolve("shop.test", SHOP)
    assert "remember allow" in engine.queue(flow_of(3))


@pytest.mark.parametrize(
    "decide", [lambda engine: engine.answer(1, yes()), lambda engine: engine.load("allow *.test 443 tcp")]
)
def test_a_guess_that_people_were_asked_about_is_not_remembered_either(
    decide: Callable[[Transcript], list[str]],
) -> None:
    engine = Transcript("ask - - -")
    engine.say(ev.LookUpsTold(tuple(told_of(name) for name in ("shop.test", "ads.test"))))
    assert "ask 1 x1" in engine.queue(flow_of(1))
    assert "remember flow allow" in decide(engine)


def test_once_no_resolver_tells_any_more_guesses_are_remembered_again() -> None:
    engine = Transcript("allow *.test 443 tcp")
    engine.say(ev.LookUpsTold(tuple(told_of(name) for name in ("shop.test", "ads.test"))))
    assert "remember flow allow" in engine.queue(flow_of(1))
    assert engine.say(ev.LookUpsTold(is_last=True)) == []
    assert "remember allow" in engine.queue(flow_of(2))
