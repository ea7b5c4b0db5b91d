"""Takes datagrams and answers none: `udp_sink.py PORT`; after one that says `end` it prints how many came before."""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
    sink.setsockopt(socket.SOL_SOCKET, 33, 8_000_000)  # SO_RCVBUFFORCE: beyond net.core.rmem_max
    sink.bind(("0.0.0.0", int(sys.argv[1])))
    print("listening", flush=True)
    count = 0
    while sink.recv(2048) != b"end":
        count += 1
    print(count, flush=True)
