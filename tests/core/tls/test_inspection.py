import pytest

from tests.core.engine.transcript import flow_of, inbound, whose
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Flow, parse_address
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.tls.inspection import can_say_name

WORDS = RemoteWords(Facts(own_addresses=frozenset({parse_address("10.0.0.2")})))


@pytest.mark.parametrize(
    ("flow", "can"),
    [
        (flow_of(), True),
        (flow_of(protocol=UDP), True),
        (flow_of(port=8443, protocol=TCP), True),
        (flow_of(port=53, protocol=UDP), False),
        (flow_of(protocol=ICMP), False),
        (flow_of(remote="127.0.0.1"), False),
        (flow_of(remote="10.0.0.2"), False),
        (inbound(), False),
    ],
)
def test_what_may_say_a_name(flow: Flow, can: bool) -> None:
    assert can_say_name(Connection(flow=flow, attribution=whose()), WORDS) is can
