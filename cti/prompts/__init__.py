"""The prompts callers and seats hear: one list (`config/prompts.yaml`), recordings laid beside it, and what is wrong
with either.

`catalogue` the list · `numbers` how digits are read out · `wav` sound files in and out · `measure` what a file sounds
like · `named` which prompts the dialplan and the IVR name · `recordings` recorded files and their noted hashes ·
`check` all of it against each other. Must not know: the synthesizer (`cti.stack.sounds`), Asterisk.
"""
