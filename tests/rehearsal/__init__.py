"""The Dockerfile carried out without a container engine: its RUN and COPY lines, in an unpacked Debian.

| file | knows |
|---|---|
| dockerfile.py | the lines: stages, steps, pins |
| inside.py     | how a command is run with a folder as its root, by root or by a plain user |
| carry.py      | what is done for each line, what is kept between runs |
| __main__.py   | the set-up of `make test` |

What is not as in a container engine: packages are unpacked by mmdebstrap and not configured (no maintainer script runs;
`apt-get` inside is a script that looks whether each package and version is unpacked), there are no layers, and a plain
user cannot give files to other users (`install -o` is left out).
"""
