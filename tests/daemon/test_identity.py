"""How a daemon describes itself."""

from pathlib import Path

from tests.daemon.loop.driver_place import identity_of
from tinysnitch.protocol.mode import Mode


def test_without_bpf_the_mode_is_degraded() -> None:
    assert identity_of(Path("rules")).mode is Mode.BPF
    assert identity_of(Path("rules"), degraded_because="no BTF").mode is Mode.DEGRADED
