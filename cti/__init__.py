"""hotline-cti: one key moves a live caller between 12345 and 110. `app` wires, `core` decides, shells speak to the
outside."""
