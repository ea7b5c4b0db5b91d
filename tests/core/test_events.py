from tests.core.transcript import BANK, Transcript, flow_of
from tinysnitch.core import events as ev


def test_what_waits_when_the_firewall_ends_is_denied() -> None:
    """Rather than let go, to be sent again when nobody judges it any more."""
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.queue(flow_of(2, BANK))
    first = ["remember flow deny", "deny 1", "decided: the firewall ends", "close 1: the firewall ends"]
    assert engine.say(ev.FirewallEnds()) == first + [told.replace("1", "2") for told in first]
    assert engine.engine.next_deadline(engine.now) is None
