"""One text over HTTPS: certificates are checked, plain HTTP is never spoken, and size and time have limits."""

import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
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
from tinysnitch.core.errors import SnitchError

MAX_BYTES = 128 << 20
SILENCE_S = 30.0  # without a byte
LIMIT_S = 600.0  # for all of it
_CHUNK_BYTES = 64 << 10
Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where the server says so


class _HttpsRedirects(HTTPRedirectHandler):
    def redirect_request(self, req: Request, *answer: Any) -> Request | None:  # noqa: ANN401  as the base class has it
        response, *_, url = answer
        if urlsplit(url).scheme != "https":
            response.close()
            raise SnitchError(f"the server sends us on to {url}, which is not https", "write where it really is")
        return super().redirect_request(req, *answer)


def fetch(url: str, progress: Progress, *, max_bytes: int = MAX_BYTES, limit_s: float = LIMIT_S) -> bytes:
    """The body. Raises SnitchError. For the first thread of a process alone, which is whom signals come to."""
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
    """By a signal: a server that sends one byte after the other, of a header say, is waited for anew with each."""

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
            raise SnitchError(f"{url} is not https", "only https can tell that nobody changed it on the way")
        request = Request(url, headers={"User-Agent": f"tinysnitch/{__version__}", "Accept-Encoding": "identity"})
        response: HTTPResponse = _opener().open(request, timeout=SILENCE_S)
    except ValueError as error:  # of this address, or of the one that the server sends us on to
        raise SnitchError(f"the address is not understood: {error}", "write it in ASCII: %C3%A9, xn--...") from error
    return response


def _opener() -> OpenerDirector:
    """Nothing in it speaks anything but HTTPS; a proxy of the environment carries it as it is (RFC 9110 9.3.6)."""
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
    return SnitchError(f"it is larger than {max_bytes >> 20} MB", "take a shorter one, or fetch it by other means")


def _unreachable(reason: object) -> SnitchError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return SnitchError(f"the server's certificate is not accepted: {reason.verify_message}", "nothing was fetched")
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return SnitchError(
        f"cannot be fetched: {text}", "does a rule let tinysnitch connect? `tinysnitch asks` lists what waits"
    )
