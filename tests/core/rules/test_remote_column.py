import pytest

from tinysnitch.core.rules.quoting import BadWord, split_words
from tinysnitch.core.rules.remote_column import format_remote, parse_remote
from tinysnitch.core.rules.rule import ANY_REMOTE, Remote, RemoteKind


def parse(text: str) -> Remote:
    (word,) = split_words(text)
    return parse_remote(word)


@pytest.mark.parametrize(
    ("text", "remote", "canonical"),
    [
        ("-", ANY_REMOTE, "-"),
        ("*", ANY_REMOTE, "-"),
        ("localhost", Remote(RemoteKind.LOCALHOST), "localhost"),
        ("'localhost'", Remote(RemoteKind.NAME, "localhost"), "'localhost'"),
        ("lan", Remote(RemoteKind.LAN), "lan"),
        ("LAN", Remote(RemoteKind.LAN), "lan"),
        ("Localhost", Remote(RemoteKind.LOCALHOST), "localhost"),
        ("'LAN'", Remote(RemoteKind.NAME, "lan"), "'lan'"),
        ("'any'", Remote(RemoteKind.NAME, "any"), "'any'"),
        ("'--'", Remote(RemoteKind.NAME, "--"), "'--'"),
        ("anyhow", Remote(RemoteKind.NAME, "anyhow"), "anyhow"),
        ("@my-list", Remote(RemoteKind.LIST, "my-list"), "@my-list"),
        ("Google.COM.", Remote(RemoteKind.NAME, "google.com"), "google.com"),
        ("bücher.example", Remote(RemoteKind.NAME, "xn--bcher-kva.example"), "xn--bcher-kva.example"),
        ("'10.0.0.1'", Remote(RemoteKind.NAME, "10.0.0.1"), "'10.0.0.1'"),
        (r"'a\032b.com'", Remote(RemoteKind.NAME, r"a\032b.com"), r"'a\032b.com'"),
        ("*.google.com", Remote(RemoteKind.DOMAIN, "google.com"), "*.google.com"),
        (r"*.'a\042.com'", Remote(RemoteKind.DOMAIN, r"a\042.com"), r"*.'a\042.com'"),
        ("10.0.0.1", Remote(RemoteKind.NETWORK, "10.0.0.1"), "10.0.0.1"),
        ("10.1.*.*", Remote(RemoteKind.NETWORK, "10.1.0.0/16"), "10.1.0.0/16"),
        ("2001:DB8::/32", Remote(RemoteKind.NETWORK, "2001:db8::/32"), "2001:db8::/32"),
        ("::ffff:10.0.0.1", Remote(RemoteKind.NETWORK, "10.0.0.1"), "10.0.0.1"),
    ],
)
def test_parse_and_format_remote(text: str, remote: Remote, canonical: str) -> None:
    assert parse(text) == remote
    assert format_remote(remote) == canonical


@pytest.mark.parametrize("text", ["a b".join("''"), "a..b", "'*.a'", "$''", "a/b", "google.com:443", "=", "a" * 64])
def test_parse_remote_refuses(text: str) -> None:
    with pytest.raises(BadWord):
        parse(text)


@pytest.mark.parametrize("text", ["--", "---", "any", "ALL"])
def test_what_others_write_for_any_is_told(text: str) -> None:
    with pytest.raises(BadWord) as caught:
        parse(text)
    assert caught.value.hint == "did you mean '-'? in quotes it is a name"


@pytest.mark.parametrize(
    "text",
    [
        *("https://a.b/", "http://10.0.0.1", "'https://a.b/'", "HTTPS://a.b:8443/c", "http://[::1]/", "a.b/", "a.b/c"),
        *("a.b:443", "google.com:443", "*.a.b:443", "10.0.0.1:80", "[2001:db8::1]:443", "a.b:443/c", "localhost:80"),
    ],
)
def test_what_is_more_than_a_remote_is_told(text: str) -> None:
    with pytest.raises(BadWord, match="more than a name or address") as caught:
        parse(text)
    assert "the port has its own column" in caught.value.hint


def test_the_brackets_of_the_log_are_told() -> None:
    with pytest.raises(BadWord) as caught:
        parse("[2001:db8::1]")
    assert caught.value.hint == "write an address without brackets"


@pytest.mark.parametrize("text", ["fe80:::443", "2001:db8::/33/1", "10.0.0.0/33", "10.0.0.0/a", "10.0.0/8"])
def test_an_address_with_a_mistake_is_no_more_than_that(text: str) -> None:
    with pytest.raises(BadWord) as caught:
        parse(text)
    assert caught.value.problem != "more than a name or address"
