"""Listens with a socket that /proc/PID/fd does not show: `hidden.py zombie|thread [ADDRESS PORT]`.

`zombie`: the main thread has ended; `thread`: another thread has descriptors of its own. Prints `listening`, then `got`
for each connection; without an address prints `bound INODE`, and holds the socket until its stdin ends.
"""

import ctypes
import os
import socket
import sys
import threading

CLONE_FILES = 0x400
libc = ctypes.CDLL(None, use_errno=True)


def serve(way: str, *place: str) -> None:
    if way == "thread":
        assert libc.unshare(CLONE_FILES) == 0
    server = socket.create_server((place[0], int(place[1]))) if place else socket.socket()
    if not place:
        print("bound", os.fstat(server.fileno()).st_ino, flush=True)
        sys.stdin.read()
        return
    print("listening", flush=True)
    while True:
        client, _remote = server.accept()
        with client:
            client.recv(1)
        print("got", flush=True)


served = threading.Thread(target=serve, args=sys.argv[1:])
served.start()
if sys.argv[1] == "zombie":
    libc.pthread_exit(None)
served.join()
