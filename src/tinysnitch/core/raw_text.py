"""Text of files and of the kernel: bytes that are not UTF-8 are surrogate escapes in it (PEP 383), and come back."""

MAX_BYTES = 256 << 20  # of a file that is read as one text: several times as much memory


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
