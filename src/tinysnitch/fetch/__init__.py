"""What a command takes from the network, and only when it is called for that: lists."""
