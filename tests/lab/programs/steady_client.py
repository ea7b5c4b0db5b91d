"""Connects to ADDRESS PORT fifty times a second, and prints `ok` or the error for each, until it is killed."""

import socket
import sys
import time

while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()
        print("ok", flush=True)
    except OSError as error:
        print(error, flush=True)
    time.sleep(0.02)
