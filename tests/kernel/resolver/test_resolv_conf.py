from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shortage import descriptors_left
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.resolver import resolv_conf
from tinysnitch.kernel.resolver.resolv_conf import parse_resolvers, read_resolvers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nameserver 10.0.0.1\nnameserver\t2001:db8::1\n", ["10.0.0.1", "2001:db8::1"]),
        ("  nameserver 10.0.0.1 # the router", ["10.0.0.1"]),
        ("nameserver fe80::1%eth0", ["fe80::1"]),
        ("# nameserver 10.0.0.1\n;nameserver 10.0.0.1\nsearch 10.0.0.1\noptions edns0", []),
        ("nameserver\nnameserver router.lan\nnameserver 10.0.0\nnameserver 10.0.0.2", ["10.0.0.2"]),
        ("nameserver 0.0.0.0\nnameserver ::\n", ["127.0.0.1", "::1"]),
        ("", []),
    ],
)
def test_name_servers(text: str, found: list[str]) -> None:
    assert parse_resolvers(text) == {parse_address(address) for address in found}


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_resolvers(text)
    parse_resolvers(f"nameserver {text}")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RESOLV_CONF", "NETNS_ETC", "RESOLVED_UPSTREAMS", "RESOLVED_STUB", "NM_UPSTREAMS", "NM_STUB"):
        monkeypatch.setattr(resolv_conf, name, tmp_path / name)
    monkeypatch.setattr(resolv_conf, "find_netns_names", lambda: ["vpn"])
    return tmp_path


def test_all_files_count_and_none_must_be_there(place: Path) -> None:
    (place / "RESOLV_CONF").write_text("nameserver 127.0.0.53\n")
    (place / "RESOLVED_UPSTREAMS").write_bytes(b"\xff\xfe\nnameserver 10.0.0.2\n")
    (place / "RESOLVED_STUB").mkdir()
    assert read_resolvers() == {parse_address(address) for address in ("127.0.0.53", "10.0.0.2")}


def test_whom_the_dnsmasq_of_networkmanager_asks_counts_while_it_runs(place: Path) -> None:
    (place / "RESOLV_CONF").write_text("nameserver 127.0.0.1\n")
    (place / "NM_UPSTREAMS").write_text("nameserver 10.0.0.1\nnameserver 2001:db8::1\n")
    assert read_resolvers() == {parse_address("127.0.0.1")}
    (place / "NM_STUB").write_text("4711\n")
    assert read_resolvers() == {parse_address(address) for address in ("127.0.0.1", "10.0.0.1", "2001:db8::1")}


def test_whom_programs_of_ip_netns_exec_ask_counts_too(place: Path) -> None:
    (place / "RESOLV_CONF").write_text("nameserver 10.0.0.1\n")
    for name, server in (("vpn", "10.8.0.1"), ("other", "10.9.0.1")):
        (place / "NETNS_ETC" / name).mkdir(parents=True)
        (place / "NETNS_ETC" / name / "resolv.conf").write_text(f"nameserver {server}\n")
    assert read_resolvers() == {parse_address(address) for address in ("10.0.0.1", "10.8.0.1")}


def test_a_file_that_cannot_be_opened_now_names_servers_all_the_same(place: Path) -> None:
    (place / "RESOLV_CONF").write_text("nameserver 10.0.0.1\n")
    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        read_resolvers()


@pytest.mark.usefixtures("place")
def test_where_no_server_is_named_it_is_the_machine_itself() -> None:
    assert read_resolvers() == {parse_address("127.0.0.1")}
