"""What all commands share: standard streams, notes and errors, exit codes, the event loop."""
