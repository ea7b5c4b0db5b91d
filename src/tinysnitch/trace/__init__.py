"""The command tinysnitch-trace: what programs do with processes and the network, as lines. A check that BPF works here.

It loads the daemon's BPF programs for itself, for they know whose a socket is, and has them tell of exec, connect, send
and bind. Fork, exit and accept are told by an object that the trace alone loads (bpf/programs/trace.bpf.c), so that
they cost a daemon nothing. It judges nothing, and leaves nothing in the kernel.

reader.py makes lines of events, line.py and row.py write them for pipes and terminals, printer.py chooses among these
and tells what was lost.

Begin with command.py, then reader.py.
"""
