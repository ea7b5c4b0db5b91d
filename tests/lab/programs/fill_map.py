"""Fills a BPF hash map completely, and prints `full`: `fill_map.py MAP KEY_SIZE VALUE_SIZE`.

Until it is killed it also fills the room of entries that are deleted.
"""

import itertools
import sys
import time
from pathlib import Path

from tinysnitch.kernel.bpf.libbpf import Map, Scalar

(place,) = Path("/sys/fs/bpf").glob(f"tinysnitch-*/*/maps/{sys.argv[1]}")
key_size, value_size = int(sys.argv[2]), int(sys.argv[3])
target = Map(place, Scalar(f"{key_size}s"), Scalar(f"{value_size}s"))
for number in itertools.count(0xF0000000):
    target.write(number.to_bytes(4, sys.byteorder).ljust(key_size, b"\xf7"), b"")
    if target.turned_away == 1:
        print("full", flush=True)
    if target.turned_away:
        time.sleep(0.0005)
