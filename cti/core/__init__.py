"""The pure core: `step(site, event) → (site, commands)`. No clock, no I/O, no randomness: the same on every machine."""
