"""Connects from workers of a multiprocessing pool: `pool_client.py METHOD SPARE ADDRESS PORT`.

SPARE is how many more descriptors it opens first: their numbers are among the arguments of its workers.
"""

import concurrent.futures
import multiprocessing
import os
import socket
import sys

WORKERS = 2


def connect(address: str, port: int) -> str:
    with socket.create_connection((address, port), timeout=120):
        return "connected"


def main(method: str, spare: int, address: str, port: int) -> None:
    for _ in range(spare):
        os.open("/dev/null", os.O_RDONLY)
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(WORKERS, context) as pool:
        for connected in [pool.submit(connect, address, port) for _ in range(WORKERS)]:
            print(connected.result(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
