"""How much the kernel helps the daemon."""

from enum import Enum


class Mode(Enum):
    BPF = "bpf"
    DEGRADED = "degraded"  # without BPF: attribution is weaker
