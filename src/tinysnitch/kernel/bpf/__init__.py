"""The BPF side as Python has it: load or adopt the programs, ask and write their maps.

`BpfPrograms` (programs.py) is the one door: `load` pins all objects in a folder of the bpffs, or adopts what an earlier
daemon of the same build left there; after that it answers who owns a socket, and writes verdicts.

- `BpfMaps` and `BpfSettings` (maps.py) are the maps of one such folder, a `PinFolder` (pins.py).
- `Map` (libbpf.py) reads and writes one map. Keys and values are objects of the classes in layout.py, by field name.
- layout.py is not in git: hatch_build.py makes it of bpf/include/tinysnitch.h, with the compiled objects beside it.
- `Image` (images.py) is what a process executed, with its paths as text.

objects.py says which programs each object must hold, probe.py why BPF does not work here, earlier_build.py takes over
what another build's programs know of running conversations.

Begin with programs.py, and with the header: bpf/include/tinysnitch.h.
"""
