"""A real HTTPS server with a certificate of its own CA; the path decides how well or badly it answers."""

import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Self

LIST = b"ads.test\n||tracker.test^\n? ?\n"
MARK = b"\xef\xbb\xbf"  # of the byte order, as some editors write it


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    places: ClassVar[dict[str, str]] = {}  # each server has its own

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        if name in self.places:
            self._say(302, b"", {"Location": self.places[name]})
        elif name == "html":
            self._say(200, b"<!doctype html>\n<html>\nhello\n</html>\n")
        elif name == "marked-html":
            self._say(200, MARK + b"<!doctype html>\n<html>\nhello\n</html>\n")
        elif name == "marked":
            self._say(200, MARK + LIST)
        elif name == "empty":
            self._say(200, b"# nothing\n")
        elif name == "short":
            self._say(200, LIST, {"Content-Length": "1000"})
        elif name == "chunked":
            self._say_endlessly()
        elif name in ("slow-header", "slow-body"):
            self._drip(name == "slow-body")
        elif name.startswith("list"):
            self._say(200, LIST)
        else:
            self._say(404, b"not here\n")

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _say_endlessly(self) -> None:
        """A body without a length, sent until the client is gone."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"1000\r\n" + b"a.test\n".ljust(0x1000, b"\n") + b"\r\n")
        except OSError:
            self.close_connection = True

    def _drip(self, is_body: bool) -> None:
        """A byte now and then of a header, or of a chunk's length, that never ends."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if is_body else b"X: "))
        try:
            while True:
                self.wfile.write(b"0")
                time.sleep(0.01)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that rejects our certificate."""


class HttpsServer:
    """On 127.0.0.1, known as localhost."""

    def __init__(self, folder: Path, name: str = "localhost") -> None:
        self.ca = make_certificates(folder, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        places: dict[str, str] = {}
        self._server = _Server(("127.0.0.1", 0), type("_OwnAnswers", (_Answers,), {"places": places}))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self._server.server_port}"
        places |= {"moved": f"{self.url}/list", "away": "http://localhost/list", "round": f"{self.url}/round"}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def make_certificates(folder: Path, name: str) -> Path:
    """server.pem and server.key for the name, signed by a CA; returns the CA's certificate."""
    ca, key = folder / "ca.pem", folder / "ca.key"
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    own = ["-x509", "-subj", "/CN=the CA of a test", "-addext", "keyUsage=critical,keyCertSign"]
    _run([*new, *own, "-keyout", str(key), "-out", str(ca)])
    signed = [
        "-x509",
        "-CA",
        str(ca),
        "-CAkey",
        str(key),
        "-subj",
        f"/CN={name}",
        "-addext",
        f"subjectAltName=DNS:{name}",
    ]
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
    _run([*new, *signed, *leaf, "-keyout", str(folder / "server.key"), "-out", str(folder / "server.pem")])
    return ca


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
