"""Made by hatch_build.py from libbpf_abi.h; cffi has no types to offer."""

from typing import Any

ffi: Any
