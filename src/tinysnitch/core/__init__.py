"""Every decision: pure values and one engine. No clock, socket, file or thread in here."""
