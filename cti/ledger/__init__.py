"""The ledger: every fact of every call, durable, in order, once. Start reading at `ledger.py`.

| file | knows |
|---|---|
| ledger.py | the one door; Redis away and back; checkpoints |
| writer.py | order, duplicates, stream or spool, draining (with remembered.py) |
| stream.py | the Redis stream and its index by call |
| spool.py  | the local file that stands in for Redis |
| query.py  | how to read: by call, by time, all of it; rebuilding the projections |
| transfers.py | past transfers by page, from their projection |
| walk.py   | a span of the stream from end to end |
| prune.py  | months that leave Redis once they are archived |
| projections/ | what is kept beside the stream and can be made again |
| cel.py    | Asterisk's own record, for the time we were away |
| meter.py  | what is counted |
"""
