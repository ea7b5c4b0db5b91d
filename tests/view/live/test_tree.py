import pytest

from tests.view.live.sample_traffic import CURL, FIREFOX, SSHD, WALL_S, entry, later, live_page
from tinysnitch.view.live.seen import TrafficSeen
from tinysnitch.view.live.tree import Level, Sort, grow


def names(sort: Sort = Sort.RATE, unfolded: frozenset[str] = frozenset()) -> list[str]:
    page = live_page()
    page.see(TrafficSeen((later(entry(), 3.0, bytes_in=0, bytes_out=0, connections=90),), WALL_S + 4))
    return [node.name for node in grow(page.traffic.meters.values(), WALL_S + 3.5, sort, unfolded)]


@pytest.mark.parametrize(
    ("sort", "first"), [(Sort.RATE, FIREFOX), (Sort.TOTAL, FIREFOX), (Sort.CONNECTIONS, CURL), (Sort.LAST, CURL)]
)
def test_the_greatest_comes_first(sort: Sort, first: str) -> None:
    assert names(sort)[0] == first


def test_names_are_in_order_if_wanted() -> None:
    assert sorted(names(Sort.NAME)) == sorted([CURL, FIREFOX, SSHD, "kernel"])


def test_below_a_row_is_something_only_if_it_is_unfolded() -> None:
    page = live_page()
    meters = list(page.traffic.meters.values())
    firefox = grow(meters, WALL_S + 1, Sort.RATE, frozenset())[0]
    rows = grow(meters, WALL_S + 1, Sort.RATE, frozenset({firefox.key}))
    below = [row for row in rows if row.level is Level.REMOTE]
    assert [row.name for row in below] == ["cdn.shop.test", "www.shop.test", "t.ads.test"]
    assert (firefox.sum.bytes_in, firefox.sum.connections) == (6_090_900, 4)
    rows = grow(meters, WALL_S + 1, Sort.RATE, frozenset({firefox.key, below[1].key}))
    leaves = [row for row in rows if row.level is Level.CONNECTIONS]
    assert [row.newest.key.port for row in leaves] == [443, 80]
    assert len({row.key for row in rows}) == len(rows)
