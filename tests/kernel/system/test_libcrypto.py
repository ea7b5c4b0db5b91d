import logging

import pytest

from tests.core.tls.hello_maker import seal
from tinysnitch.kernel.system.libcrypto import Libcrypto

# NIST SP 800-38D, test case 4 of its proposal (McGrew, Viega): AES-128, with associated data
KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308")
NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
ASSOCIATED = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
TEXT = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
TAG = bytes.fromhex("5bc94fbc3221a5db94fae95ae7121a47")


def test_a_block_is_encrypted_as_fips_197_has_it() -> None:
    # FIPS 197 appendix B
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    block = bytes.fromhex("3243f6a8885a308d313198a2e0370734")
    assert Libcrypto().encrypt_block(key, block).hex() == "3925841d02dc09fbdc118597196a0b32"


def test_what_was_sealed_opens() -> None:
    sealed = seal(KEY, NONCE, TEXT, ASSOCIATED)
    assert sealed.endswith(TAG)
    assert Libcrypto().open_sealed(KEY, NONCE, sealed, ASSOCIATED) == TEXT


@pytest.mark.parametrize("place", [0, 30, -1])
def test_what_was_changed_does_not(place: int) -> None:
    sealed = bytearray(seal(KEY, NONCE, TEXT, ASSOCIATED))
    sealed[place] ^= 1
    crypto = Libcrypto()
    assert crypto.open_sealed(KEY, NONCE, bytes(sealed), ASSOCIATED) is None
    assert crypto.open_sealed(KEY, NONCE, bytes(sealed[:15]), ASSOCIATED) is None
    assert crypto.open_sealed(KEY, NONCE, seal(KEY, NONCE, TEXT, b""), ASSOCIATED) is None


def test_without_the_library_nothing_opens_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    crypto = Libcrypto("libnothing.so.0")
    with caplog.at_level(logging.WARNING):
        assert crypto.encrypt_block(KEY, bytes(16)) == bytes(16)
        assert crypto.open_sealed(KEY, NONCE, seal(KEY, NONCE, TEXT, b""), b"") is None
    (told,) = caplog.messages
    assert told.startswith("names in QUIC are not read: libnothing.so.0")
