"""What all commands do alike: their standard streams, their notes and errors, their exit codes."""
