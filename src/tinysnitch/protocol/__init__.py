"""What a client and the daemon say to each other: pure values and their framing."""
