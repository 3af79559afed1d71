"""The wire to Asterisk's manager interface: `wire` frames bytes, `client` keeps the link, `translate` speaks Asterisk.

Only this package imports panoramisk. What leaves it are the core's events; nothing above it knows an AMI header's name.
"""
