"""The commands: thin front ends over view and client."""
