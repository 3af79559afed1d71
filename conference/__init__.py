"""The three-party call (caller, 12345, 110) and its decision: who accepts. Part of the pure core.

`room` is the table of who is in it, `cells` what its cells ask and change, `decision` the rules of who accepts, `words`
the codes and what people read for them. Imports of ours: `cti.core.events`, `model` and `rules` alone; `cti.core.rooms`
puts it into the call.
"""
