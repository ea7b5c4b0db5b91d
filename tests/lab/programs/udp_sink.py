"""Takes datagrams and answers none; after an `end` it prints how many others came: `udp_sink.py PORT COUNT`.

Held datagrams may come after the `end`, which the kernel allowed by itself. So it waits for all COUNT of them, and then
until no more come.
"""

import socket
import sys

QUIET_S = 0.5
PATIENT_S = 30

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
    sink.setsockopt(socket.SOL_SOCKET, 33, 8_000_000)  # SO_RCVBUFFORCE: beyond net.core.rmem_max
    sink.bind(("0.0.0.0", int(sys.argv[1])))
    print("listening", flush=True)
    count = 0
    while sink.recv(2048) != b"end":
        count += 1
    try:
        while True:
            sink.settimeout(PATIENT_S if count < int(sys.argv[2]) else QUIET_S)
            sink.recv(2048)
            count += 1
    except TimeoutError:
        print(count, flush=True)
