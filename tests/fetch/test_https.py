"""Only over HTTPS, only with a valid certificate, with limits of size and time."""

import time
from pathlib import Path

import pytest

from tests.fetch.https_server import LIST, HttpsServer
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.fetch.https import fetch


def ignore(_size: int, _total: int | None) -> None:
    pass


def test_a_text_and_its_progress(trusted: HttpsServer) -> None:
    seen: list[tuple[int, int | None]] = []
    assert fetch(f"{trusted.url}/list", lambda *sizes: seen.append(sizes)) == LIST
    assert seen[-1] == (len(LIST), len(LIST))
    assert fetch(f"{trusted.url}/moved", ignore) == LIST


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("none", "the server says 404 Not Found"),
        ("away", "the server redirects to http://localhost/list, which is not https"),
        ("round", "the server says 302"),
        ("short", f"the connection ended after {len(LIST)} of 1000 bytes"),
        ("a b", "the address is not understood: URL can't contain control characters"),
        ("é", "the address is not understood: 'ascii' codec"),
    ],
)
def test_what_is_refused(trusted: HttpsServer, path: str, problem: str) -> None:
    with pytest.raises(SnitchError) as caught:
        fetch(f"{trusted.url}/{path}", ignore)
    assert str(caught.value).startswith(problem)
    assert caught.value.hint


def test_size_and_time_have_limits(trusted: HttpsServer) -> None:
    for path in ("list", "chunked"):
        with pytest.raises(SnitchError, match="it is larger than 0 MB"):
            fetch(f"{trusted.url}/{path}", ignore, max_bytes=10)
    with pytest.raises(SnitchError, match="it takes too long"):
        fetch(f"{trusted.url}/chunked", ignore, limit_s=0.05)


@pytest.mark.parametrize("path", ["slow-header", "slow-body"])
def test_who_sends_byte_after_byte_ends_in_time(trusted: HttpsServer, path: str) -> None:
    begun_s = time.monotonic()
    with pytest.raises(SnitchError, match="it takes too long"):
        fetch(f"{trusted.url}/{path}", ignore, limit_s=0.3)
    assert time.monotonic() - begun_s < 10


def test_an_unknown_certificate_is_refused(
    server: HttpsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpsServer(tmp_path) as other:
        monkeypatch.setenv("SSL_CERT_FILE", str(other.ca))
        with pytest.raises(SnitchError, match="certificate is not accepted"):
            fetch(f"{server.url}/list", ignore)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpsServer(tmp_path, "elsewhere.test") as other:
        monkeypatch.setenv("SSL_CERT_FILE", str(other.ca))
        with pytest.raises(SnitchError, match="certificate is not accepted: Hostname mismatch"):
            fetch(f"{other.url}/list", ignore)


@pytest.mark.parametrize("url", ["http://localhost/list", "file:///etc/passwd", "localhost/list", "ftp://x/"])
def test_nothing_but_https(url: str) -> None:
    with pytest.raises(SnitchError, match="is not https"):
        fetch(url, ignore)


@pytest.mark.parametrize("url", ["https://[bad/list", "https://a..b/list", f"https://{'a' * 64}.test/list"])
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(SnitchError, match="the address is not understood") as caught:
        fetch(url, ignore)
    assert caught.value.hint


def test_nobody_there() -> None:
    with pytest.raises(SnitchError, match="cannot be fetched: Connection refused") as caught:
        fetch("https://127.0.0.1:1/", ignore)
    assert "`tinysnitch asks`" in caught.value.hint  # it may be our own firewall that holds it
