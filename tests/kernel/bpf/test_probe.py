"""Each thing that BPF lacks is named."""

from pathlib import Path

import pytest

from tinysnitch.kernel.bpf import probe


@pytest.mark.parametrize(("release", "is_fine"), [("6.12.1-arch1", True), ("6.1.0-9-amd64", True), ("5.19.0", False)])
def test_old_kernels_are_named(release: str, is_fine: bool) -> None:
    assert (probe.describe_kernel(release) == "") is is_fine


def test_lockdown_counts_only_when_it_is_chosen() -> None:
    assert probe.describe_lockdown("none integrity [confidentiality]\n")
    assert probe.describe_lockdown("[none] integrity confidentiality\n") == ""
    assert probe.describe_lockdown("none [integrity] confidentiality\n") == ""


def test_lacking_capabilities_are_named() -> None:
    assert probe.describe_capabilities("CapEff:\t000001fffeffffff\n") == ""
    clause = probe.describe_capabilities(f"CapPrm:\t0\nCapEff:\t{1 << 39:016x}\n")
    assert "CAP_NET_ADMIN" in clause
    assert "CAP_BPF" not in clause


@pytest.mark.parametrize(("effective", "is_permitted"), [("000001fffeffffff", True), ("0000000000000000", False)])
def test_who_lacks_capabilities_is_not_permitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effective: str, is_permitted: bool
) -> None:
    (tmp_path / "status").write_text(f"CapEff:\t{effective}\n")
    monkeypatch.setattr(probe, "_STATUS", tmp_path / "status")
    assert probe.is_permitted() is is_permitted


def test_objects_that_are_not_compiled_are_named() -> None:
    assert probe.describe_objects([]) == ""
    assert probe.describe_objects([Path("a/process.bpf.o")]) == "not compiled: process.bpf.o"


@pytest.mark.privileged
def test_nothing_is_missing_here() -> None:
    assert probe.find_missing() == ()


@pytest.mark.parametrize(
    ("effective", "lacking"),
    [
        ("000001fffeffffff", ""),
        (f"{1 << 19 | 1 << 1:x}", ""),  # of the two that open others' folders one is enough
        (f"{1 << 19 | 1 << 2:x}", ""),
        (f"{1 << 19:x}", "CAP_DAC_READ_SEARCH"),
        (f"{1 << 2:x}", "CAP_SYS_PTRACE"),
    ],
)
def test_what_keeps_others_processes_from_being_seen_is_named(effective: str, lacking: str) -> None:
    assert probe.describe_sight(f"CapEff:\t{effective}\n").endswith(lacking)
    assert bool(probe.describe_sight(f"CapEff:\t{effective}\n")) is bool(lacking)


def test_only_the_first_pid_namespace_has_the_kernel_s_numbers() -> None:
    assert probe.describe_pid_namespace(4026531836) == ""
    assert "PID namespace" in probe.describe_pid_namespace(4026532590)


def test_hidden_is_what_the_pid_namespace_hides_with_bpf_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_PID_NAMESPACE", tmp_path)  # its inode is no namespace's
    (tmp_path / "status").write_text("CapEff:\tffffffffffffffff\n")
    monkeypatch.setattr(probe, "_STATUS", tmp_path / "status")
    assert len(probe.find_hidden(is_bpf=True)) == 1
    assert probe.find_hidden(is_bpf=False) == ()
