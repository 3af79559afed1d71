"""The dialplan as tested code: `cti dialplan check` reads it as Asterisk does, judges it, then lets a real Asterisk
load it.

| file | knows |
|---|---|
| finding.py | how a fault is said |
| source.py | templates filled in with the site's data, each line with where it was written |
| text.py | `${…}`, `$[…]`, arguments |
| parse.py, model.py | contexts, extensions, priorities, labels, as pbx_config reads them |
| refs.py, values.py | who leads where; what a text can come to |
| variables.py | who sets and who reads what |
| flow.py | which step follows which |
| known.py, asterisk22.json | what Asterisk and the service give by themselves |
| rules/ | one small function a rule |
| check.py | all rules over one dialplan, excuses taken off |
| load.py | a throwaway Asterisk, and what it refused |
"""
