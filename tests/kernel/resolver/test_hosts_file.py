import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shortage import descriptors_left
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.resolver import hosts_file
from tinysnitch.kernel.resolver.hosts_file import Hosts, parse_hosts, read_hosts


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("10.0.0.7 nas files # at home\n", {"10.0.0.7": ("nas", "files")}),
        ("10.0.0.7\tNAS.example.\n10.0.0.7 files nas.example", {"10.0.0.7": ("nas.example", "files")}),
        ("2001:db8::7 nas\nfe80::1%eth0 router", {"2001:db8::7": ("nas",), "fe80::1": ("router",)}),
        ("10.0.0.7 bücher.test a..b ok", {"10.0.0.7": ("xn--bcher-kva.test", "ok")}),
        ("127.0.0.1 localhost\n127.0.1.1 me\n::1 localhost\n0.0.0.0 ads.test\n:: ads.test", {}),
        ("# 10.0.0.7 nas\n10.0.0.7\n10.0.0 nas\n\nnas 10.0.0.7", {}),
    ],
)
def test_names_of_addresses(text: str, names: dict[str, tuple[str, ...]]) -> None:
    assert parse_hosts(text).names == {parse_address(address): found for address, found in names.items()}


def test_a_file_that_is_not_there_has_no_names(tmp_path: Path) -> None:
    assert read_hosts(tmp_path / "none") == Hosts()
    (tmp_path / "hosts").write_bytes(b"\xff\n10.0.0.7 nas\n")
    assert read_hosts(tmp_path / "hosts").names == {parse_address("10.0.0.7"): ("nas",)}


def test_a_file_that_cannot_be_opened_now_has_names_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("10.0.0.7 nas\n")
    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        read_hosts(tmp_path / "hosts")


def test_no_more_room_is_made_than_the_file_takes(tmp_path: Path) -> None:
    """With little memory (`ulimit -v`), to allocate 64 MB too many would end the start."""
    (tmp_path / "hosts").write_text("10.0.0.7 nas\n")
    tracemalloc.start()
    read_hosts(tmp_path / "hosts")
    _now, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1 << 20


def test_what_finds_no_room_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_file, "MAX_NAMES", 2)
    assert parse_hosts("10.0.0.7 a b c d\n10.0.0.8 e") == Hosts({parse_address("10.0.0.7"): ("a", "b")}, 3)
    monkeypatch.setattr(hosts_file, "MAX_NAMES_OF_ADDRESS", 1)
    assert parse_hosts("10.0.0.7 a b a\n10.0.0.8 e") == Hosts(
        {parse_address("10.0.0.7"): ("a",), parse_address("10.0.0.8"): ("e",)}, 1
    )
    monkeypatch.setattr(hosts_file, "MAX_BYTES", 10)
    (tmp_path / "hosts").write_text("10.0.0.7 nas\n")
    assert read_hosts(tmp_path / "hosts") == Hosts(lost=1)
    monkeypatch.setattr(hosts_file, "MAX_BYTES", len("10.0.0.7 nas\n"))
    assert read_hosts(tmp_path / "hosts") == Hosts({parse_address("10.0.0.7"): ("nas",)})


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_hosts(text)
    parse_hosts(f"10.0.0.7 {text}")
