"""IP, TCP, UDP and ICMP as bytes, as far as a firewall has to read them.

`parse_packet` (packet.py) makes a `Packet` of the bytes that a queue hands over: addresses, ports, and where the
payload lies. `flow_of` turns it into the flow that is decided about, and `parse_segment` into a `Segment` of TCP.
`ByteStream` (byte_stream.py) puts the segments of one direction together, as their receiver does.

Packets come from anybody. What is not valid raises Malformed, and nothing else is raised; no length field counts
beyond the bytes that are there. Where the kernel would read the bytes in another way, they are refused.

Begin with packet.py.
"""
