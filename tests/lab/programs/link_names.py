"""mDNS by hand: link_names.py answer OWN_ADDRESS NAME ADDRESS, or link_names.py ask OWN_ADDRESS NAME PORT.

`ask` connects to the address in the answer.
"""

import socket
import struct
import sys

GROUP, PORT = "224.0.0.251", 5353
TIMEOUT_S = 60


def encode(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def open_socket(own_address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own_address))
    return made


def answer(own_address: str, name: str, address: str) -> None:
    with open_socket(own_address) as server:
        server.bind(("", PORT))
        membership = socket.inet_aton(GROUP) + socket.inet_aton(own_address)
        server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        print("listening", flush=True)
        record = encode(name) + struct.pack("!HHIH", 1, 0x8001, 120, 4) + socket.inet_aton(address)
        while True:
            question, client = server.recvfrom(512)
            server.sendto(question[:2] + bytes.fromhex("84000000000100000000") + record, client)


def ask(own_address: str, name: str, port: str) -> None:
    with open_socket(own_address) as client:
        client.settimeout(TIMEOUT_S)
        client.sendto(bytes.fromhex("000000000001000000000000") + encode(name) + b"\0\1\0\1", (GROUP, PORT))
        address = socket.inet_ntoa(client.recv(512)[-4:])
    with socket.create_connection((address, int(port)), timeout=TIMEOUT_S):
        print("connected", flush=True)


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "answer":
        answer(*rest)
    else:
        ask(*rest)


if __name__ == "__main__":
    main()
