"""Sends datagrams and counts the echoes: `udp_client.py [--connected] [--count N] [--no-wait] ADDRESS PORT`."""

import argparse
import socket


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connected", action="store_true", help="connect() and send(), not sendto()")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--no-wait", action="store_true", help="expect no echo")
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(options.timeout)
        print(f"echo {exchange(client, options)} of {options.count}", flush=True)


def exchange(client: socket.socket, options: argparse.Namespace) -> int:
    remote = (options.address, options.port)
    if options.connected:
        client.connect(remote)
    echoes = 0
    for number in range(options.count):
        if options.connected:
            client.send(b"%d" % number)
        else:
            client.sendto(b"%d" % number, remote)
        if not options.no_wait:
            client.recv(2048)
            echoes += 1
    return echoes


main()
