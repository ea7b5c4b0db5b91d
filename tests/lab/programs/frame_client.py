"""Sends the frames on its stdin to a control socket, and prints the replies until REQUESTS of them were answered.

frame_client.py SOCKET REQUESTS
"""

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
