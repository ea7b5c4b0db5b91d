"""The moving pictures of the README: small enough to load with it, and with time to read what they show."""

import pytest

from tests.repo.tree import ROOT

MOST_BYTES = 1_500_000
SECONDS = range(10, 21)


@pytest.mark.parametrize("name", ["curl.webp", "firefox.webp"])
def test_a_moving_picture_is_small_and_moves_on_for_10_to_20_seconds(name: str) -> None:
    picture = (ROOT / "docs" / name).read_bytes()
    assert f"](docs/{name})" in (ROOT / "README.md").read_text()
    assert len(picture) < MOST_BYTES
    assert (picture[:4], picture[8:12]) == (b"RIFF", b"WEBP")
    frames = durations(picture)
    assert len(frames) > 20
    assert round(sum(frames) / 1000) in SECONDS
    assert max(frames) < 5000


def durations(picture: bytes) -> list[int]:
    """The milliseconds of each frame of an animated WebP (RFC 9649, 2.7.1.1): three bytes behind 12 others."""
    found, at = list[int](), 12
    while at < len(picture):
        size = int.from_bytes(picture[at + 4 : at + 8], "little")
        if picture[at : at + 4] == b"ANMF":
            found.append(int.from_bytes(picture[at + 20 : at + 23], "little"))
        at += 8 + size + size % 2
    return found
