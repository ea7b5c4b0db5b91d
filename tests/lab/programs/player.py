"""Plays a stream of counting_server.py, piece by piece, with a report on each: `player.py NAME PORT`."""

import socket
import sys

PIECES, DATAGRAMS = 20, 50

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
    player.settimeout(30)
    player.connect((sys.argv[1], int(sys.argv[2])))
    for _piece in range(PIECES):
        player.send(str(DATAGRAMS).encode())
        for _ in range(DATAGRAMS):
            player.recv(2000)
        player.send(bytes(100))
    player.send(b"end")
