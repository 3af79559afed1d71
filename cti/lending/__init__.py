"""Seats lent between sites (异地席位): the shells around the pure `cti.core.leasebook`.

`letters` Redis between the sites · `line` Asterisk's lines and AstDB · `bookfile` the book on disk · `desk` one task
that owns the book and hangs the three together.
"""
