from pathlib import Path

import pytest

from tinysnitch.core.flow import parse_address
from tinysnitch.store.lists import parse_list, read_lists

TEXT = """\
# a comment
! one of adblock
[Adblock Plus 2.0]
ads.example.com   # and why
*.tracker.example
||doubleclick.net^
0.0.0.0 a.hosts.example b.hosts.example
127.0.0.1 localhost
::1 ip6-localhost ip6-loopback
192.0.2.7
198.51.100.0/24
2001:db8::/32

||bad^$third-party
two words
192.0.2.7/8
"""
LIST = parse_list(TEXT)


@pytest.mark.parametrize(
    ("name", "is_listed"),
    [
        ("ads.example.com", True),
        ("x.ads.example.com", True),
        ("example.com", False),
        ("badads.example.com", False),
        ("tracker.example", True),
        ("ad.doubleclick.net", True),
        ("b.hosts.example", True),
        ("localhost", False),
        ("ip6-localhost", False),
    ],
)
def test_names(name: str, is_listed: bool) -> None:
    assert LIST.remotes.has_name(name) is is_listed


@pytest.mark.parametrize(
    ("address", "is_listed"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("198.51.100.200", True),
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        ("0.0.0.0", False),
    ],
)
def test_addresses(address: str, is_listed: bool) -> None:
    assert LIST.remotes.has_address(parse_address(address)) is is_listed


def test_bad_lines_are_counted() -> None:
    assert (LIST.bad_lines, len(LIST.remotes)) == (3, 8)


def test_the_whole_of_ipv6_holds_no_ipv4() -> None:
    everything = parse_list("::/0").remotes
    assert everything.has_address(parse_address("::1"))
    assert not everything.has_address(parse_address("10.0.0.1"))


def test_read_lists_gives_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "ads").write_bytes(b"ads.example\n\xff\xfe\n")
    lists = read_lists(["ads", "none"], tmp_path)
    assert list(lists) == ["ads"]
    assert lists["ads"].remotes.has_name("ads.example")
    assert lists["ads"].bad_lines == 1
