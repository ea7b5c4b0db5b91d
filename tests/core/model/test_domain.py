import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.domain import (
    domains_of,
    find_registrable_domain,
    format_label,
    is_numbered,
    is_public_suffix,
    is_within,
    normalize_name,
)
from tinysnitch.core.model.errors import Malformed


@pytest.mark.parametrize(
    ("written", "spelling"),
    [
        ("google.com", "google.com"),
        ("WWW.Google.COM.", "www.google.com"),
        ("_dmarc.a-b.test", "_dmarc.a-b.test"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("straße.de", "xn--strae-oqa.de"),
        ("ü-b.example", "xn---b-wka.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("\uff47oo\uff47le\uff0ecom", "google.com"),
        ("i❤.ws", "xn--i-7iq.ws"),
        (r"a\046b.com", r"a\046b.com"),
        (r"\097\042.com", r"a\042.com"),
        ("a" * 63 + ".com", "a" * 63 + ".com"),
        (r"\255" * 63, r"\255" * 63),
        ("a." * 126 + "a", "a." * 126 + "a"),
        ("\u03b1\u0313\u0300\u0345" * 57, f"xn--2qg{'a' * 56}"),
    ],
)
def test_a_name_has_one_spelling(written: str, spelling: str) -> None:
    assert normalize_name(written) == spelling


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "empty label"),
        (".", "empty label"),
        ("a..b", "empty label"),
        (".a", "empty label"),
        ("a b.com", "not a label"),
        ("*.com", "not a label"),
        (r"a\.b", "not a label"),
        (r"\256.com", "not a byte"),
        ("a\n.com", "not a label"),
        ("ü b.com", "not a label"),
        ("ü*.com", "not a label"),
        ("ü\u202e.com", "not a label"),
        ("ü\udc80.com", "not a label"),
        ("\u2024x.com", "not a label"),
        ("a" * 64 + ".com", "label of more than 63"),
        ("ü" * 64 + ".com", "label of more than 63"),
        (r"\255" * 64, "label of more than 63"),
        ("a." * 127 + "a", "name of more than 253"),
    ],
)
def test_what_is_no_name_is_refused(written: str, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        normalize_name(written)


def test_a_long_label_is_refused_at_once() -> None:
    """A user's command may hold one of 60 KB, and punycode takes a time that grows with its square: 50 s for that."""
    written, began_s = "".join(map(chr, range(0x4E00, 0x4E00 + 5000))), time.process_time()
    for label in (written, written[:1000], "\ufdfa" * 250):  # the last: 18 characters for each, once mapped
        with pytest.raises(Malformed, match="of more than"):
            normalize_name(label)
    assert time.process_time() - began_s < 0.25


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (b"Google", "google"),
        (b"a.b", r"a\046b"),
        (b"*", r"\042"),
        (b"\\", r"\092"),
        (b"\x1b[31m\n", r"\027\09131m\010"),
        (b"\xff", r"\255"),
    ],
)
def test_a_hostile_label_is_escaped(label: bytes, text: str) -> None:
    assert format_label(label) == text


@pytest.mark.parametrize(
    ("name", "domain", "expected"),
    [
        ("google.com", "google.com", True),
        ("www.google.com", "google.com", True),
        ("notgoogle.com", "google.com", False),
        ("google.com", "www.google.com", False),
        ("google.com.evil.test", "google.com", False),
        (f"{format_label(b'evil.google')}.com", "google.com", False),
    ],
)
def test_a_domain_covers_whole_labels(name: str, domain: str, *, expected: bool) -> None:
    assert is_within(name, domain) is expected


def test_no_name_ends_in_a_number() -> None:
    assert [name for name in ("192.0.2.1", "4", "1.test", "a.t4") if is_numbered(name)] == ["192.0.2.1", "4"]


def test_the_domains_above_a_name() -> None:
    assert list(domains_of("a.b.test")) == ["a.b.test", "b.test", "test"]
    assert list(domains_of("localhost")) == ["localhost"]


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("www.bbc.co.uk", "bbc.co.uk"),
        ("a.b.google.com", "google.com"),
        ("google.com", "google.com"),
        ("alice.github.io", "alice.github.io"),
        ("www.shop.test", "shop.test"),
        ("www.xn--55qx5d.cn", "www.xn--55qx5d.cn"),
        ("www.xn--85x722f.com.cn", "xn--85x722f.com.cn"),
        ("a.www.ck", "www.ck"),
        ("a.b.city.kobe.jp", "city.kobe.jp"),
        ("a.b.c.kobe.jp", "b.c.kobe.jp"),
        ("github.io", None),
        ("co.uk", None),
        ("localhost", None),
    ],
)
def test_the_registrable_domain_is_what_one_owner_holds(name: str, domain: str | None) -> None:
    assert find_registrable_domain(name) == domain


@given(st.text(max_size=40))
def test_any_text_is_a_stable_spelling_or_malformed(text: str) -> None:
    try:
        name = normalize_name(text)
    except Malformed:
        return
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    assert normalize_name(name) == name


@given(st.lists(st.binary(min_size=1, max_size=63), min_size=1, max_size=3))
def test_every_name_on_the_wire_has_a_spelling_that_can_be_written(labels: list[bytes]) -> None:
    name = ".".join(map(format_label, labels))
    assert normalize_name(name) == name
    assert len(list(domains_of(name))) == len(labels)


def test_a_public_suffix_is_where_anybody_may_have_a_name() -> None:
    assert [name for name in ("com", "co.uk", "github.io", "shop.com", "lan", "corp") if is_public_suffix(name)] == [
        "com",
        "co.uk",
        "github.io",
    ]
