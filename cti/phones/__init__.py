"""Provisioning of the seats' phones: `config/phones.yaml` says which handset stands where, the rest follows from the
site's directory.

`book` the file · `keys` which keys a seat's phone has · `yealink` `grandstream` `fanvil` each vendor's form · `render`
files by name · `tokens` a device's own secret · `serve` giving them out over HTTPS. Untested on real handsets so far
(docs/phones.md). Must not know: Asterisk's state, calls.
"""
