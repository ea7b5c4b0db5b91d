"""Greets whoever connects, on IPv4 and IPv6: `tcp_server.py PORT`."""

import socket
import sys

with socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("listening", flush=True)
    while True:
        client, _remote = server.accept()
        with client:
            client.sendall(b"hello\n")
