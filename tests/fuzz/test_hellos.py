"""Mutated ClientHellos and QUIC Initials: no reader raises, and what is read as a name is one.

TINYSNITCH_FUZZ_ROUNDS sets how many mutants there are of each (default 5000, about two seconds in all).
"""

import os

import pytest

from tests.core.tls.hello_maker import CIPHER, QUIC_FLOW, START, crypto, flow_to, handshake, initial, records
from tests.fuzz.mutation import mutants_of
from tinysnitch.core.model.domain import normalize_name
from tinysnitch.core.packets.packet import Segment
from tinysnitch.core.tls.server_names import ServerName, ServerNameReader

ROUNDS = int(os.environ.get("TINYSNITCH_FUZZ_ROUNDS", "5000"))
HELLOS = [records(handshake("www.ads.test")), records(handshake("ads.test", 1600), 500)]
MESSAGE = handshake("www.ads.test", 40)
FRAMES = [crypto(MESSAGE), crypto(MESSAGE[60:], 60) + b"\x01" + crypto(MESSAGE[:60]) + b"\x02\x05\x00\x00\x01"]


def check(said: ServerName | None) -> bool:
    """Whether a name was read, which has to be one."""
    if said is None or said.name is None:
        return False
    assert normalize_name(said.name) == said.name
    return True


@pytest.mark.slow
@pytest.mark.parametrize("original", HELLOS, ids=range(len(HELLOS)))
def test_tls(original: bytes) -> None:
    found = 0
    for mutant in mutants_of(original, ROUNDS, HELLOS):
        found += check(ServerNameReader(1, None).read(flow_to(), 1, Segment(START, 0, 0x10, mutant)))
    assert 0 < found < ROUNDS


@pytest.mark.slow
def test_quic_packets() -> None:
    packets = [initial(frames, pad=60) for frames in FRAMES]
    for mutant in mutants_of(packets[0], ROUNDS, packets):
        check(ServerNameReader(1, CIPHER).read(QUIC_FLOW, 1, mutant))


@pytest.mark.slow
@pytest.mark.parametrize("original", FRAMES, ids=range(len(FRAMES)))
def test_quic_frames(original: bytes) -> None:
    """Sealed anew, since else the tag keeps nearly all of them out."""
    rounds, found = ROUNDS // 25, 0
    for mutant in mutants_of(original, rounds, FRAMES):
        found += check(ServerNameReader(1, CIPHER).read(QUIC_FLOW, 1, initial(mutant, pad=20)))
    assert 0 < found < rounds
