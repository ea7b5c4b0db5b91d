"""Sends one datagram and waits for its echo: `udp_client.py ADDRESS PORT [connected] [SECONDS]`.

With `connected` it uses connect() and send(), otherwise sendto(). It is told of a refusal in both cases.
"""

import socket
import sys

RECEIVE_ERRORS = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}  # linux/in.h

remote = (sys.argv[1], int(sys.argv[2]))
seconds = float(sys.argv[-1]) if len(sys.argv) > 3 and sys.argv[-1] != "connected" else 60.0
family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.setsockopt(*RECEIVE_ERRORS[family], 1)  # ip(7): without it only a connected socket is told of errors
    client.settimeout(seconds)
    if "connected" in sys.argv:
        client.connect(remote)
        client.send(b"ping")
    else:
        client.sendto(b"ping", remote)
    print("echo", client.recv(2048).decode(), flush=True)
