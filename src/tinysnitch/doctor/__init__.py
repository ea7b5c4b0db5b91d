"""The command `tinysnitch doctor`: a line for each thing that a part of tinysnitch needs on this machine.

It changes nothing: what has to be tried (BPF programs, netfilter rules) is tried by trial.py in namespaces that end
with the trial. So a normal user can call it, and is told which lines need root.

A part is a function that returns findings: kernel_parts.py and network_parts.py have what the daemon needs,
people_parts.py what who answers needs. The checks themselves are the daemon's own, in kernel/.

Begin with command.py, then finding.py.
"""
