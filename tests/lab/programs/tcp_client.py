"""Connects, and prints `connected`: `tcp_client.py ADDRESS PORT`. It ignores further arguments."""

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=120):
    print("connected", flush=True)
