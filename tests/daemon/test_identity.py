"""What a daemon says it is."""

from pathlib import Path

from tests.daemon.driver_place import identity_of


def test_the_mode() -> None:
    assert identity_of(Path("rules")).mode == "bpf"
    assert identity_of(Path("rules"), degraded_because="no BTF").mode == "degraded"
