"""DNS messages on their way; see transcript.py."""

import dns.message

from tests.core.transcript import CURL, SHOP, Transcript, flow_of
from tinysnitch.core import events as ev
from tinysnitch.core.flow import UDP


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
    assert engine.say(ev.QuestionSent(1, flow, CURL, b"no question")) == ["pass 1", told]
    assert engine.say(ev.AnswerReceived(2, flow, b"no answer")) == ["pass 2"]  # once said is enough
    assert sum(engine.engine.names.statistics().refusals.values()) == 2


def test_that_a_server_is_not_trusted_is_told_once_the_program_connects() -> None:
    engine = Transcript("allow - - -")
    asked = dns.message.make_query("shop.test", "A").to_wire()
    assert engine.say(ev.QuestionSent(1, flow_of(1, "198.51.100.66", 53, UDP), CURL, asked)) == ["pass 1"]
    told = "lost DNS question to 198.51.100.66 not learned: resolver not trusted 1"
    assert engine.queue()[0] == told
    assert told not in engine.queue(flow_of(2))
