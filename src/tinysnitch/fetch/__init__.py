"""What commands fetch from the network, only when called to: lists."""
