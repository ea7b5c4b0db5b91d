"""Each change of the rule set is heard, and rules of ours that are missing afterwards are noticed."""

import select

import pytest

from tests.bpf.packet_place import LABEL, QUEUES, PacketPlace, entered
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netfilter.netfilter_news import NetfilterNews


def has_news(news: NetfilterNews) -> bool:
    return bool(select.select([news], [], [], 0)[0])


@pytest.mark.privileged
def test_each_change_in_our_namespace_is_news_until_it_was_drained() -> None:
    with PacketPlace() as place:
        with entered(place.here):
            news = NetfilterNews()
        try:
            assert not has_news(news)
            place.run("iptables", "-A", "OUTPUT", netns=place.there)
            assert not has_news(news)
            for family in ("iptables", "ip6tables"):
                place.run(family, "-A", "OUTPUT")
                assert has_news(news)
                news.drain()
                assert not has_news(news)
        finally:
            news.close()


@pytest.mark.privileged
@pytest.mark.parametrize(
    "deed",
    [
        f"iptables -t mangle -D OUTPUT -j {LABEL}-OUT",
        f"ip6tables -t mangle -F {LABEL}-JUDGEIN",
        "iptables -t filter -F OUTPUT",
        f"ip6tables -t mangle -D {LABEL}-OUT 1",
    ],
)
def test_it_is_seen_when_something_of_ours_is_missing(deed: str) -> None:
    with PacketPlace() as place, entered(place.here):
        ours = Netfilter(LABEL, QUEUES, None)
        ours.add()
        place.run("iptables", "-t", "mangle", "-I", "OUTPUT", "-p", "99")  # the rules of others are no matter
        assert ours.is_whole()
        place.run(*deed.split())
        assert not ours.is_whole()
        ours.add()
        assert ours.is_whole()
