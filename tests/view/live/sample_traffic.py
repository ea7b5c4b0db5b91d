"""What a daemon tells of a few programs, and a live page that has seen it."""

import msgspec

from tests.view.pages.open_page import press as press
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import TrafficEntry
from tinysnitch.view.live.live_page import LivePage
from tinysnitch.view.live.seen import TrafficSeen

WALL_S = 1_700_000_000.0  # when the clock of the page says 0

FIREFOX, CURL, SSHD = "/usr/lib/firefox/firefox", "/usr/bin/curl", "/usr/sbin/sshd"


def entry(program: str = CURL, name: str | None = "shop.test", at_s: float = 0.0, **more: object) -> TrafficEntry:
    values: dict[str, object] = {
        "uid": 1000,
        "remote_address": "192.0.2.7",
        "port": 443,
        "protocol": "tcp",
        "direction": Direction.OUTBOUND,
        "verdict": Verdict.ALLOW,
        "rule": "allow shop.test 443 tcp /usr/bin/curl",
        "connections": 1,
        "bytes_in": 3000,
        "bytes_out": 300,
        "first": WALL_S + at_s,
        "last": WALL_S + at_s,
    }
    return TrafficEntry(program=program, name=name, **(values | more))  # type: ignore[arg-type]


SAMPLES = (
    entry(FIREFOX, "cdn.shop.test", bytes_in=6_000_000, rule="allow - 443 tcp /usr/lib/firefox/firefox"),
    entry(FIREFOX, "www.shop.test", bytes_in=90_000, rule="allow - 443 tcp /usr/lib/firefox/firefox"),
    entry(FIREFOX, "www.shop.test", port=80, bytes_in=900, rule="allow - 80 tcp /usr/lib/firefox/firefox"),
    entry(FIREFOX, "t.ads.test", verdict=Verdict.DENY, bytes_in=0, bytes_out=0, rule="deny *.ads.test - -"),
    entry(),
    entry(
        SSHD, None, direction=Direction.INBOUND, port=22, remote_address="fd77::9", uid=0, rule="allow lan 22 tcp-src"
    ),
    entry("kernel", None, port=0, protocol="icmp", uid=None, rule=None),
)


def live_page(*entries: TrafficEntry) -> LivePage:
    """At the clock's 1 it has seen them all."""
    page = LivePage()
    page.wall_ahead_s = WALL_S
    page.see(TrafficSeen(entries or SAMPLES, WALL_S + 1.0))
    page.nodes(1.0)
    return page


def later(one: TrafficEntry, at_s: float, **more: object) -> TrafficEntry:
    return msgspec.structs.replace(one, first=WALL_S + at_s, last=WALL_S + at_s, **more)  # type: ignore[arg-type]
