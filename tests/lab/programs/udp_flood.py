"""One UDP flow of many datagrams and an `end`, with no wait for a reply: `udp_flood.py ADDRESS PORT COUNT`.

After the first one it waits for a line on standard input, or its end.
"""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect((sys.argv[1], int(sys.argv[2])))
    for number in range(int(sys.argv[3])):
        client.send(b"datagram")
        if number == 0:
            sys.stdin.readline()
    client.send(b"end")
