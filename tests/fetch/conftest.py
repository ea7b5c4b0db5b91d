from collections.abc import Iterator

import pytest

from tests.fetch.https_server import HttpsServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with HttpsServer(tmp_path_factory.mktemp("https")) as made:
        yield made


@pytest.fixture
def trusted(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> HttpsServer:
    """The server, whose CA is the one that this process trusts (SSL_CERT_FILE: OpenSSL's own)."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return server
