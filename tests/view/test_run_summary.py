"""What `tinysnitch run` says at its end."""

from typing import Any

import msgspec

from tinysnitch.core.flow import Direction
from tinysnitch.core.process import AttributionSource
from tinysnitch.core.verdict import Verdict
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.view.run_summary import summarize_run

REACHED = ConnectionLine(
    time="2019-08-24T10:17:03.250Z",
    verdict=Verdict.ALLOW,
    reason="allowed by a rule",
    rule="allow shop.test 80 tcp",
    cached=False,
    direction=Direction.OUTBOUND,
    protocol="tcp",
    local_address="10.0.0.2",
    local_port=40516,
    remote_address="10.0.0.1",
    remote_port=80,
    name="shop.test",
    pid=42,
    uid=0,
    program="/usr/bin/curl",
    args=(),
    parents=(),
    attribution=AttributionSource.BPF,
)


def line(**fields: Any) -> ConnectionLine:  # noqa: ANN401 - any field of the line
    return msgspec.structs.replace(REACHED, **fields)


def refused(**fields: Any) -> ConnectionLine:  # noqa: ANN401 - any field of the line
    return line(verdict=Verdict.DENY, reason="nobody to ask", rule=None, **fields)


def test_what_was_reached_comes_first_and_what_was_refused_says_why() -> None:
    assert summarize_run([refused(remote_port=443), line()]) == [
        "reached tcp shop.test:80 by /usr/bin/curl",
        "refused tcp shop.test:443 by /usr/bin/curl: nobody to ask",
    ]


def test_the_same_is_counted_once() -> None:
    assert summarize_run([line(local_port=port) for port in (1, 2, 3)]) == [
        "reached tcp shop.test:80 (3 times) by /usr/bin/curl"
    ]


def test_an_address_without_a_name_stands_for_itself() -> None:
    assert summarize_run([line(name=None)]) == ["reached tcp 10.0.0.1:80 by /usr/bin/curl"]
    assert summarize_run([line(name=None, remote_address="fd77::1")]) == ["reached tcp [fd77::1]:80 by /usr/bin/curl"]


def test_what_comes_in_is_named_by_our_port() -> None:
    arrived = line(direction=Direction.INBOUND, local_port=8000, remote_port=40516)
    assert summarize_run([arrived]) == ["reached tcp port 8000 from shop.test by /usr/bin/curl"]


def test_protocols_without_ports_show_none() -> None:
    assert summarize_run([line(protocol="icmp", remote_port=0)]) == ["reached icmp shop.test by /usr/bin/curl"]


def test_hostile_text_is_escaped() -> None:
    [said] = summarize_run([line(name="shop\x1b[2J.test", program="/tmp/\nx")])
    assert said.isprintable()


def test_programs_are_shortened_for_a_terminal_alone() -> None:
    long = line(program=f"/opt/{'x' * 40}/curl")
    assert summarize_run([long]) == [f"reached tcp shop.test:80 by /opt/{'x' * 40}/curl"]
    [said] = summarize_run([long], 36)
    assert said.endswith("/curl")
    assert len(said) == len("reached tcp shop.test:80 by ") + 36


def test_nothing_tried_says_so() -> None:
    assert summarize_run([]) == ["no connection was tried"]
