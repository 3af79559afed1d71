"""The real parts on this machine: unpack them, find ports, start them in order, stop all of them.

Knows programs, folders, ports and processes. Must not know calls, transfers or any rule of the core.
"""
