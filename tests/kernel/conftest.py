"""The place with the BPF programs loaded is that of tests/bpf."""

from tests.bpf.conftest import (  # noqa: F401 - fixtures
    agent,
    conversations,
    crowded,
    packet_place,
    place,
    programs,
    queue,
    server,
    wire,
)
