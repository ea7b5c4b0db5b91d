"""Text from files and from the kernel. Bytes that are not UTF-8 become surrogate escapes (PEP 383), and bytes again."""

BYTE_ORDER_MARK = "\ufeff"  # what some editors put at the beginning of a file
MAX_BYTES = 256 << 20  # of a file that is read as one text, which takes several times as much memory


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
