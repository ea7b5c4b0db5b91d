"""What was freed goes back to the kernel."""

import subprocess
import sys

# Between what lives on, so that the heap cannot shrink by itself.
_PROGRAM = """
from tinysnitch.kernel.system.heap import give_back_memory

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

kept, freed = [], []
for _ in range(500):
    freed.append(bytearray(40_000))
    kept.append(bytearray(600))
del freed
before = resident_mb()
give_back_memory()
print(before - resident_mb())
"""


def test_memory_that_was_freed_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 5
