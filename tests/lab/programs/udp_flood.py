"""One UDP flow of many datagrams and an `end`, with no wait for a reply: `udp_flood.py ADDRESS PORT COUNT`."""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect((sys.argv[1], int(sys.argv[2])))
    for _number in range(int(sys.argv[3])):
        client.send(b"datagram")
    client.send(b"end")
