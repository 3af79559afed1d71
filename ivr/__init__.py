"""FastAGI: Asterisk asks, a short script answers.

Nothing here may be needed for a call to live: the dialplan waits a bounded time for an answer, proves it by a
token it chose itself, and goes on with its own defaults otherwise (ARCHITECTURE.md, "FastAGI never holds a
caller").
"""
