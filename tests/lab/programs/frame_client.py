"""Sends the frames on its standard input to a socket; prints what comes back until so many requests are answered."""

import json
import socket
import sys

path, requests = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_UNIX) as client:
    client.connect(path)
    client.sendall(sys.stdin.buffer.read())
    answered = 0
    for line in client.makefile("rb"):
        sys.stdout.buffer.write(line)
        answered += json.loads(line).get("type") in ("done", "refused")
        if answered == requests:
            break
