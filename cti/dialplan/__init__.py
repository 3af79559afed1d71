"""The dialplan as tested code: stories played on a throwaway Asterisk, the way of a call, putting it into service.

Knows: `dialplan/` and how to try it. Must not know: what a live site's service decides.
"""
