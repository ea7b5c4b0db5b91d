import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.rules.list_entries import BadLine, find_source, parse_list

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
Bücher.Example.
192.0.2.7
198.51.100.0/24
2001:db8::/32

||bad^$third-party
two words
192.0.2.7/8
"""
NAMES = {
    "ads.example.com",
    "tracker.example",
    "doubleclick.net",
    "a.hosts.example",
    "b.hosts.example",
    "xn--bcher-kva.example",
}


def test_all_the_forms() -> None:
    content = parse_list(TEXT)
    assert content.names == NAMES
    assert (len(content.networks), content.addresses) == (3, 1)


def test_bad_lines_are_counted_and_the_first_are_kept() -> None:
    content = parse_list(TEXT + "?\n")
    assert content.bad_lines == 4
    assert content.bad_examples == (
        BadLine(15, "||bad^$third-party"),
        BadLine(16, "two words"),
        BadLine(17, "192.0.2.7/8"),
    )


def test_a_bad_line_is_shown_without_harm() -> None:
    (bad,) = parse_list("\x1b[2J \udcff é\n").bad_examples
    assert bad.text == "\x1b[2J \\xff é"
    assert len(parse_list("?" * 100_000).bad_examples[0].text) == 60


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("ADS.example.com\r", {"ads.example.com"}),
        ("ads.example.com\t# why\r", {"ads.example.com"}),
        ("0.0.0.0 ads.example.com\r", {"ads.example.com"}),
        ("0.0.0.0 ads.example.com # why", {"ads.example.com"}),
        ("0.0.0.0 0.0.0.0", set()),
        ("127.0.0.1 localhost.localdomain", set()),
        ("127.0.0.1 LocalHost", set()),
        ("fe80::1%lo0 localhost", set()),
        ("\ufeffads.example.com", {"ads.example.com"}),
        ("||ads.example.com", set()),
        ("ads.example.com^", set()),
        ("@@||ads.example.com^", set()),
        ("example.com##.banner", set()),
        ("ads.example.com.", {"ads.example.com"}),
        ("a..b", set()),
        ("https://ads.example.com/", set()),
        (f"{'a.' * 126}ab", set()),
        (f"{'a.' * 126}a", {f"{'a.' * 126}a"}),
    ],
)
def test_a_line_holds_these_names_and_no_others(line: str, names: set[str]) -> None:
    assert parse_list(line).names == names


@pytest.mark.parametrize("line", ["10.0.0.1-10.0.0.9", "a.b.1", "0.0.0.0 a.1", "*.5"])
def test_what_ends_in_a_number_is_no_name(line: str) -> None:
    """As a name it would match nothing."""
    content = parse_list(line)
    assert (content.names, content.networks, content.bad_lines) == (frozenset(), frozenset(), 1)


def test_the_lines_that_each_hosts_file_begins_with_are_not_bad() -> None:
    assert parse_list("127.0.0.1 localhost\nfe80::1%lo0 localhost\n0.0.0.0 0.0.0.0\n").bad_lines == 0


words = st.sampled_from(["0.0.0.0", "127.0.0.1", "ads.example.com", "ip6-x.test", "localhost", "||a.b^", "#x", "a.1"])
lines = st.lists(words | st.text("a.-_^|# \t\rA1é", max_size=8), max_size=4).map(" ".join)


@given(lines)
def test_the_short_way_reads_what_the_long_way_does(line: str) -> None:
    """A line of a usual form is read by one look. Behind a comment of the other kind it is not of that form."""
    short = parse_list(line)
    if short.names and "#" not in line:
        long = parse_list(f"{line} \v#")
        assert (long.names, long.networks, long.bad_lines) == (short.names, short.networks, short.bad_lines)


@given(st.text())
def test_nothing_is_fatal(text: str) -> None:
    content = parse_list(text)
    assert content.bad_lines <= text.count("\n") + 1


@pytest.mark.parametrize("line", ["a." * 50_000 + "!", "é." * 50_000])
def test_a_long_line_of_labels_takes_no_more_room_than_itself(line: str) -> None:
    """A server may send a line of 128 MB. Regular expressions remember each repetition of a group, 90 bytes for it."""
    tracemalloc.start()
    try:
        assert parse_list(line).bad_lines == 1
        assert tracemalloc.get_traced_memory()[1] < 4 * sys.getsizeof(line)
    finally:
        tracemalloc.stop()


def test_the_source_is_the_first_one_of_the_header() -> None:
    assert find_source("# mine\n# Source: https://a.test/x\n# source: https://b.test/\n") == "https://a.test/x"
    assert find_source("\ufeff# source:https://a.test/x\r\n") == "https://a.test/x"
    assert find_source("a.test\n" * 10 + "# source: https://a.test/\n") is None
    assert find_source("") is None
