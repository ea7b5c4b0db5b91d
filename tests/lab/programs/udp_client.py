"""Sends one datagram and waits for its echo: `udp_client.py ADDRESS PORT [connected] [SECONDS]`.

`connected` uses connect() and send(); else it is sendto() on a socket that is not connected.
"""

import socket
import sys

remote = (sys.argv[1], int(sys.argv[2]))
seconds = float(sys.argv[-1]) if len(sys.argv) > 3 and sys.argv[-1] != "connected" else 10.0
with socket.socket(socket.AF_INET6 if ":" in remote[0] else socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(seconds)
    if "connected" in sys.argv:
        client.connect(remote)
        client.send(b"ping")
    else:
        client.sendto(b"ping", remote)
    print("echo", client.recv(2048).decode(), flush=True)
