"""The three-party room (caller, 12345, 110) and its decision. Its dialplan and machine will stand here; until then the
transfer door knows mode `swap` alone."""
