"""Rules as the program of 2019 wrote them, and as its tests and readme had them: each loads as it is and decides alike.

The exceptions are in docs/rules.md, and in the second table here: they are stricter than they were then.
"""

import pytest
from msgspec.structs import replace

from tests.core.policy.test_ruleset import CURL, by, connection
from tests.core.rules.rule_strategies import FACTS
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, UDP, Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.ruleset import Ruleset
from tinysnitch.core.rules.rule_line import parse_rules

ALLOW, DENY, ASK = Verdict.ALLOW, Verdict.DENY, Verdict.ASK
PYTHON_SERVER = by(replace(CURL, program="/usr/bin/python3.7", args=("-m", "http.server")))
OF_CURL = by(replace(CURL, args=("google.com", "-v")))


def to(remote: str, port: int = 443, protocol: int = 6) -> Connection:
    return connection(None, remote=remote, port=port, protocol=protocol)


SAME = [
    # four columns
    ("allow 1.1.1.1 53 udp", to("1.1.1.1", 53, UDP), ALLOW),
    ("deny 1.1.1.1 53 udp", to("1.1.1.1", 53, UDP), DENY),
    ("allow 1.1.1.1 53 udp", to("1.1.1.1", 53), ASK),
    ("allow google.com 80 tcp", connection("google.com", port=80), ALLOW),
    ("allow google.com 80 tcp", connection("www.google.com", port=80), ASK),
    ("deny localhost 8000 tcp", to("127.0.0.1", 8000), DENY),
    ("allow localhost 1200 udp", to("192.168.1.5", 1200, UDP), ALLOW),  # an address of this machine
    # written by its keys d and p (any port was `-` at first, `*` later)
    ("allow *.google.com 443 tcp", connection("google.com"), ALLOW),
    ("allow *.google.com 443 tcp", connection("a.b.google.com"), ALLOW),
    ("allow *.google.com * tcp", connection("www.google.com", port=8443), ALLOW),
    ("allow google.com - tcp", connection("google.com", port=8443), ALLOW),
    ("allow *.co.uk 443 tcp", connection("bbc.co.uk"), ALLOW),  # it took the last two labels for the domain
    ("allow 10.1.2.* 443 tcp", to("10.1.2.9"), ALLOW),
    ("allow 10.1.*.* 443 tcp", to("10.2.0.9"), ASK),
    ("deny 10.*.*.* * udp", to("10.9.9.9", 9, UDP), DENY),
    ("allow 8.8.8.8 * icmp", to("8.8.8.8", 0, ICMP), ALLOW),
    # which of several
    ("deny *.google.com 443 tcp\nallow google.com 443 tcp", connection("google.com"), ALLOW),
    ("allow google.com * tcp\ndeny google.com 443 tcp", connection("google.com"), DENY),
    ("deny 10.*.*.* 22 tcp\nallow 10.1.2.* 22 tcp", to("10.1.2.3", 22), ALLOW),
    # six columns; `-` as a program or its arguments is any
    ("allow google.com 443 tcp /usr/bin/curl google.com -v", connection("google.com", OF_CURL), ALLOW),
    ("allow google.com 443 tcp /usr/bin/curl google.com", connection("google.com", OF_CURL), ASK),
    ("allow google.com - tcp /usr/bin/curl -", connection("google.com", OF_CURL), ALLOW),
    ("allow google.com 443 tcp - -", connection("google.com", OF_CURL), ALLOW),
    ("deny google.com 443 tcp /usr/bin/wget -", connection("google.com", OF_CURL), ASK),
    (
        "allow 93.184.216.34 8000 tcp-src /usr/bin/python3.7 -m http.server",
        connection(None, PYTHON_SERVER, port=8000, direction=Direction.INBOUND),
        ALLOW,
    ),
    ("allow google.com 443 tcp   # why not\n\n# deny google.com 443 tcp\r\n", connection("google.com"), ALLOW),
]
STRICTER = [
    # Then the earlier line won; and a name with any port was looked up before its domain with the port.
    ("allow google.com 443 tcp\ndeny google.com 443 tcp", connection("google.com"), DENY),
    ("allow google.com * tcp\ndeny *.google.com 443 tcp", connection("google.com"), DENY),
    # Then a line without -src was for both directions.
    (
        "allow localhost 8000 tcp",
        connection(None, PYTHON_SERVER, port=8000, direction=Direction.INBOUND),
        ASK,
    ),
    # Then the arguments were one text, without quotes.
    (
        "allow google.com 443 tcp /usr/bin/sh -c x y",
        connection("google.com", by(replace(CURL, args=("-c", "x y")))),
        ASK,
    ),
    ("allow *.localhost - tcp", to("127.0.0.1"), ASK),  # written by its key d for a question about this machine
]


@pytest.mark.parametrize(("text", "asked", "verdict"), [*SAME, *STRICTER])
def test_a_file_of_2019_loads_and_decides(text: str, asked: Connection, verdict: Verdict) -> None:
    rules, errors = parse_rules(text, "old.rules")
    assert errors == []
    assert Ruleset(rules, FACTS).decide(asked, 0.0).verdict is verdict


def test_what_the_key_d_wrote_for_an_address_is_told() -> None:
    """It took the last two numbers of an address for its domain."""
    _, errors = parse_rules("allow *.2.3 443 tcp", "old.rules")
    assert [str(error) for error in errors] == ["old.rules:1:7: not an address"]
