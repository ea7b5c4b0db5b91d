"""AES-128 for QUIC's first packets, by OpenSSL's libcrypto, which Python's hashlib has in memory already.

It takes no more memory, where the package `cryptography` takes 10 MB and 20 ms and brings an OpenSSL of its own.
AF_ALG would need CONFIG_CRYPTO_USER_API_AEAD, which not every kernel has.
"""

import ctypes
import logging
from typing import Any

_LIBRARY = "libcrypto.so.3"
_BLOCK_BYTES = _TAG_BYTES = 16
_SET_TAG = 0x11  # EVP_CTRL_AEAD_SET_TAG in openssl/evp.h
_log = logging.getLogger(__name__)


class _Functions:
    """The functions of EVP_EncryptInit(3ssl) that are used. OSError where one fails that should not."""

    def __init__(self, library: str) -> None:
        self._crypto: Any = ctypes.CDLL(library)
        for name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_ecb", "EVP_aes_128_gcm"):
            getattr(self._crypto, name).restype = ctypes.c_void_p
        self._ecb = ctypes.c_void_p(self._crypto.EVP_aes_128_ecb())
        self._gcm = ctypes.c_void_p(self._crypto.EVP_aes_128_gcm())

    def encrypt_block(self, key: bytes, block: bytes) -> bytes:
        context = self._make_context()
        try:
            _must(self._crypto.EVP_EncryptInit_ex(context, self._ecb, None, key, None))
            return self._update("EVP_EncryptUpdate", context, block)
        finally:
            self._crypto.EVP_CIPHER_CTX_free(context)

    def open_sealed(self, key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
        text, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        if len(tag) < _TAG_BYTES:
            return None
        context = self._make_context()
        try:
            _must(self._crypto.EVP_DecryptInit_ex(context, self._gcm, None, key, nonce))
            _must(self._crypto.EVP_CIPHER_CTX_ctrl(context, _SET_TAG, _TAG_BYTES, tag))
            length = ctypes.c_int()
            _must(self._crypto.EVP_DecryptUpdate(context, None, ctypes.byref(length), associated, len(associated)))
            opened = self._update("EVP_DecryptUpdate", context, text)
            is_right = self._crypto.EVP_DecryptFinal_ex(context, None, ctypes.byref(length)) > 0
            return opened if is_right else None
        finally:
            self._crypto.EVP_CIPHER_CTX_free(context)

    def _make_context(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._crypto.EVP_CIPHER_CTX_new())

    def _update(self, function: str, context: ctypes.c_void_p, data: bytes) -> bytes:
        written = ctypes.create_string_buffer(len(data) + _BLOCK_BYTES)
        length = ctypes.c_int()
        _must(getattr(self._crypto, function)(context, written, ctypes.byref(length), data, len(data)))
        return written.raw[: length.value]


def _must(done: int) -> None:
    if done <= 0:
        raise OSError("libcrypto refused what it is there for")


class Libcrypto:
    """Loaded at its first use: most machines never need it, since QUIC is read only where no name is known. Without the
    library nothing can be opened."""

    def __init__(self, library: str = _LIBRARY) -> None:
        self._library = library
        self._is_tried = False
        self._functions: _Functions | None = None

    def encrypt_block(self, key: bytes, block: bytes) -> bytes:
        """One block of 16 bytes, alone."""
        functions = self._load()
        return functions.encrypt_block(key, block) if functions else bytes(_BLOCK_BYTES)

    def open_sealed(self, key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
        """Decrypt what was sealed with GCM, with its tag of 16 bytes at the end. None: the tag is wrong."""
        functions = self._load()
        return functions.open_sealed(key, nonce, sealed, associated) if functions else None

    def _load(self) -> _Functions | None:
        if not self._is_tried:
            self._is_tried = True
            try:
                self._functions = _Functions(self._library)
            except (OSError, AttributeError) as error:
                _log.warning("names in QUIC are not read: %s", error)
        return self._functions
