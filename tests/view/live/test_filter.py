import pytest

from tests.view.live.sample_traffic import CURL, FIREFOX, SSHD, live_page
from tinysnitch.view.live.filter import NEW_S, WORDS, parse_filter

ALL = {FIREFOX, CURL, SSHD, "kernel"}


@pytest.mark.parametrize(
    ("words", "programs"),
    [
        ("", ALL),
        ("FireFox", {FIREFOX}),
        (":22", {SSHD}),
        (":2", set[str]()),
        ("denied", {FIREFOX}),
        ("allowed", ALL),
        ("in", {SSHD}),
        ("out udp", set[str]()),
        ("icmp", {"kernel"}),
        ("shop.test", {FIREFOX, CURL}),
        ("shop.test :443 curl", {CURL}),
        ("fd77", {SSHD}),
        ("*.ads", {FIREFOX}),
        ("new", ALL),
    ],
)
def test_each_word_must_hold(words: str, programs: set[str]) -> None:
    page = live_page()
    tests = parse_filter(words)
    now_s = page.wall_ahead_s + 1
    found = [meter.key.program for meter in page.traffic.meters.values() if all(test(meter, now_s) for test in tests)]
    assert set(found) == programs


def test_nothing_stays_new() -> None:
    page = live_page()
    (test,) = parse_filter("new")
    assert not any(test(meter, page.wall_ahead_s + NEW_S + 1) for meter in page.traffic.meters.values())
    assert "new" in WORDS
