"""Sends COUNT datagrams and an `end` in one UDP flow, without waiting for replies: `udp_flood.py ADDRESS PORT COUNT`.

After the first one it waits for a line on stdin, or its end. Now and then it pauses: while other processes keep the
softirqs from running, no more than net.core.netdev_max_backlog (1000) packets can be on their way.
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
