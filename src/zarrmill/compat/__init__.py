"""Doors for people who come from another tool: their calls, zarrmill's engine."""
