"""Sends each datagram back, from the address that it came to, with IPv4 and IPv6: `udp_echo.py PORT`."""

import select
import socket
import sys

IP_PKTINFO = 8  # linux/in.h


def listen(family: socket.AddressFamily, any_address: str, port: int) -> socket.socket:
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        server.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    server.bind((any_address, port))
    return server


def main() -> None:
    port = int(sys.argv[1])
    servers = [listen(socket.AF_INET, "0.0.0.0", port), listen(socket.AF_INET6, "::", port)]
    print("listening", flush=True)
    while True:
        for server in select.select(servers, [], [])[0]:
            data, ancillary, _flags, peer = server.recvmsg(65536, 256)
            server.sendmsg(
                [data], [item for item in ancillary if item[1] in (IP_PKTINFO, socket.IPV6_PKTINFO)], 0, peer
            )


main()
