"""Connects and says so: `tcp_client.py ADDRESS PORT`; further arguments mean nothing."""

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=120):
    print("connected", flush=True)
