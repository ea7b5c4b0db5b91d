"""One UDP flow of many datagrams and an `end`, with no wait for a reply: `udp_flood.py ADDRESS PORT COUNT`.

After the first one it waits for a line on standard input, or its end. Now and then it rests, since the way to the
receiver holds no more than net.core.netdev_max_backlog (1000) where another process keeps the softirqs from running.
"""

import socket
import sys
import time

TOGETHER = 250

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect((sys.argv[1], int(sys.argv[2])))
    for number in range(int(sys.argv[3])):
        client.send(b"datagram")
        if number == 0:
            sys.stdin.readline()
        elif number % TOGETHER == 0:
            time.sleep(0.002)
    client.send(b"end")
