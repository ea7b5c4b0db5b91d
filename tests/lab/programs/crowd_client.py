"""Connects to every `ADDRESS:PORT` given, all at once; prints as JSON how many were `ok` and how many `refused`."""

import json
import socket
import sys
import threading
from collections import Counter


def attempt(remote: str, results: Counter[str]) -> None:
    address, port = remote.rsplit(":", 1)
    try:
        socket.create_connection((address, int(port)), timeout=300).close()
        results[f"{remote} ok"] += 1
    except ConnectionRefusedError:
        results[f"{remote} refused"] += 1


results: Counter[str] = Counter()
threads = [threading.Thread(target=attempt, args=(remote, results)) for remote in sys.argv[1:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(results))
