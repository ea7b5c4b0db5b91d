"""ClientHellos and QUIC Initials as a client makes them. GCM is put together here from single blocks of AES."""

from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.packets.packet import Segment
from tinysnitch.core.tls.quic_initial import Keys, derive_keys
from tinysnitch.kernel.system.libcrypto import Libcrypto

ACK = 0x10
START = 0xFFFFFFF0  # sequence number of the first byte of data: the next ones start again soon
CONNECTION_ID = bytes.fromhex("8394c8f03e515708")  # of RFC 9001 appendix A
V1, V2 = 0x00000001, 0x6B3343CF
CIPHER = Libcrypto()


def vector(data: bytes, length_bytes: int) -> bytes:
    return len(data).to_bytes(length_bytes, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(data, 2)


def server_name(*names: bytes, kind: int = 0) -> bytes:
    return extension(0, vector(b"".join(bytes([kind]) + vector(name, 2) for name in names), 2))


def hello_body(*extensions: bytes) -> bytes:
    fixed = b"\x03\x03" + bytes(range(32)) + vector(bytes(32), 1) + vector(b"\x13\x01\x13\x02", 2) + vector(b"\0", 1)
    return fixed + vector(b"".join(extensions), 2)


def handshake(name: str, padding: int = 0) -> bytes:
    """A ClientHello message; the padding stands before the name, as a large key share may."""
    return b"\x01" + vector(hello_body(extension(51, bytes(padding)), server_name(name.encode())), 3)


def records(message: bytes, size: int = 1 << 14) -> bytes:
    parts = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + vector(part, 2) for part in parts)


def segments(data: bytes, size: int) -> list[Segment]:
    """The data in segments of this size, in order."""
    return [Segment((START + at) & 0xFFFFFFFF, 1, ACK, data[at : at + size]) for at in range(0, len(data), size)]


def flow_to(port: int = 443, protocol: int = TCP) -> Flow:
    local, remote = parse_address("10.0.0.2"), parse_address("203.0.113.7")
    return Flow(protocol, Direction.OUTBOUND, local, 40000, remote, port)


QUIC_FLOW = flow_to(protocol=UDP)


def number(value: int) -> bytes:
    """A variable-length integer of two bytes, RFC 9000 16."""
    return (value | 0x4000).to_bytes(2, "big")


def crypto(data: bytes, offset: int = 0) -> bytes:
    return b"\x06" + number(offset) + number(len(data)) + data


def initial(
    frames: bytes,
    *,
    packet_number: int = 2,
    number_bytes: int = 4,
    version: int = V1,
    connection_id: bytes = CONNECTION_ID,
    first_id: bytes | None = None,
    pad: int = 1162,
    quic_bit: int = 0x40,
) -> bytes:
    """A client's protected Initial, as in RFC 9001 A.2. `first_id`: the first one's, if this is a later one."""
    frames = frames.ljust(pad, b"\0")
    first = 0x80 | quic_bit | (0x00 if version == V1 else 0x10) | number_bytes - 1
    head = bytes([first]) + version.to_bytes(4, "big") + vector(connection_id, 1) + b"\0" + b"\0"
    header = head + number(number_bytes + len(frames) + 16) + packet_number.to_bytes(number_bytes, "big")
    keys = derive_keys(version, first_id or connection_id)
    nonce = bytes(a ^ b for a, b in zip(keys.iv, packet_number.to_bytes(12, "big"), strict=True))
    return protect(header, number_bytes, seal(keys.key, nonce, frames, header), keys)


def protect(header: bytes, number_bytes: int, sealed: bytes, keys: Keys) -> bytes:
    at = 4 - number_bytes  # the sample is taken as if the number had four bytes
    mask = CIPHER.encrypt_block(keys.header, sealed[at : at + 16])
    hidden = bytes(a ^ b for a, b in zip(header[-number_bytes:], mask[1 : 1 + number_bytes], strict=True))
    return bytes([header[0] ^ mask[0] & 0x0F]) + header[1:-number_bytes] + hidden + sealed


def seal(key: bytes, nonce: bytes, text: bytes, associated: bytes) -> bytes:
    """AES-128-GCM (NIST SP 800-38D 7.1)."""
    pads = b"".join(
        CIPHER.encrypt_block(key, nonce + (2 + at // 16).to_bytes(4, "big")) for at in range(0, len(text), 16)
    )
    sealed = bytes(a ^ b for a, b in zip(text, pads, strict=False))
    sizes = (8 * len(associated)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    hashed = ghash(CIPHER.encrypt_block(key, bytes(16)), whole(associated) + whole(sealed) + sizes)
    first = CIPHER.encrypt_block(key, nonce + b"\0\0\0\1")
    return sealed + bytes(a ^ b for a, b in zip(hashed, first, strict=True))


def whole(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 16) * 16, b"\0")


def ghash(subkey: bytes, blocks: bytes) -> bytes:
    state = 0
    for at in range(0, len(blocks), 16):
        state = multiply(state ^ int.from_bytes(blocks[at : at + 16], "big"), int.from_bytes(subkey, "big"))
    return state.to_bytes(16, "big")


def multiply(one: int, other: int) -> int:
    product = 0
    for bit in range(127, -1, -1):
        product ^= other if one >> bit & 1 else 0
        other = other >> 1 ^ (0xE1 << 120 if other & 1 else 0)
    return product
