"""Recordings on disk: what is there, indexed, kept and deleted by policy."""
