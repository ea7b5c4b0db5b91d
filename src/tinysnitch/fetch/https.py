"""Fetches one text over HTTPS: certificates are checked, plain HTTP is never used, size and time have limits."""

import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, InvalidURL
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from tinysnitch import __version__
from tinysnitch.core.model.errors import SnitchError

MAX_BYTES = 128 << 20
SILENCE_S = 30.0  # for which the server may send nothing
LIMIT_S = 600.0  # for the whole transfer
_CHUNK_BYTES = 64 << 10
Progress = Callable[[int, int | None], None]  # bytes so far, and bytes in all, if the server says how many


class _HttpsRedirects(HTTPRedirectHandler):
    def redirect_request(self, req: Request, *answer: Any) -> Request | None:  # noqa: ANN401  as the base class has it
        response, *_, url = answer
        if urlsplit(url).scheme != "https":
            response.close()
            raise SnitchError(f"the server redirects to {url}, which is not https", "find an https address for it")
        return super().redirect_request(req, *answer)


def fetch(url: str, progress: Progress, *, max_bytes: int = MAX_BYTES, limit_s: float = LIMIT_S) -> bytes:
    """Returns the body. Raises SnitchError. Only for the main thread, which is the one that gets signals."""
    try:
        with _ended_after(limit_s), _open(url) as response:
            return _read(response, progress, max_bytes)
    except HTTPError as error:
        error.close()
        raise SnitchError(f"the server says {error.code} {error.reason}", f"is {url} still right?") from error
    except URLError as error:
        raise _unreachable(error.reason) from error
    except (OSError, HTTPException) as error:
        raise _unreachable(error) from error


@contextmanager
def _ended_after(limit_s: float) -> Iterator[None]:
    """Raises SnitchError in the block after `limit_s`, by a signal: a socket's timeout begins anew with each byte, so a
    server that sends a header byte by byte would never end it."""

    def end(*_signal: object) -> None:
        raise SnitchError("it takes too long", "try again later")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _open(url: str) -> HTTPResponse:
    try:
        if urlsplit(url).scheme != "https":
            raise SnitchError(f"{url} is not https", "only https makes sure that nobody changed it on the way")
        request = Request(url, headers={"User-Agent": f"tinysnitch/{__version__}", "Accept-Encoding": "identity"})
        response: HTTPResponse = _opener().open(request, timeout=SILENCE_S)
    except (ValueError, InvalidURL) as error:  # of this address, or of one that the server redirects to
        hint = "write it in ASCII and without blanks: %C3%A9, %20, xn--..."
        raise SnitchError(f"the address is not understood: {error}", hint) from error
    return response


def _opener() -> OpenerDirector:
    """An opener that can only speak HTTPS, through the proxy that the environment names, if any (RFC 9110 9.3.6)."""
    opener = OpenerDirector()
    for handler in (
        HTTPSHandler(context=ssl.create_default_context()),
        _HttpsRedirects(),
        HTTPErrorProcessor(),
        HTTPDefaultErrorHandler(),
        ProxyHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _read(response: HTTPResponse, progress: Progress, max_bytes: int) -> bytes:
    total = response.length
    if total is not None and total > max_bytes:
        raise _too_large(max_bytes)
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        progress(size, total)
    if total is not None and size < total:
        raise SnitchError(f"the connection ended after {size} of {total} bytes", "try again")
    return b"".join(parts)


def _too_large(max_bytes: int) -> SnitchError:
    return SnitchError(f"it is larger than {max_bytes >> 20} MB", "use a shorter list, or fetch it by other means")


def _unreachable(reason: object) -> SnitchError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return SnitchError(
            f"the server's certificate is not accepted: {reason.verify_message}",
            "is the address, and this clock, right?",
        )
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return SnitchError(
        f"cannot be fetched: {text}", "does a rule let tinysnitch connect? `tinysnitch asks` lists what waits"
    )
