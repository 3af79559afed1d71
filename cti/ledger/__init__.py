"""The ledger: every fact of every call, durable, in order, once. Start reading at `ledger.py`.

| file | knows |
|---|---|
| ledger.py | the one door; Redis away and back; checkpoints |
| writer.py | ids, repeats; an append is durable once the journal has it (with remembered.py) |
| journal.py | what waits for Redis, and what Redis was given lately; on spool.py and rows.py, the local file |
| drain.py  | from the journal to Redis, each fact once |
| stream.py | the Redis stream, its hash chain; connect.py: one server, Sentinel, Cluster; keys.py: all names |
| projections/ | what is kept beside the stream to be asked quickly, and can be made again from it |
| anchors.py | the chain's newest hash, noted on the local disk |
| query.py  | how to read: by call, by time, all of it |
| projected.py | the projections made again, or held against the stream |
| days.py   | the ended calls of a day, for the answer rate |
| transfers.py | past transfers by page, from their projection |
| walk.py   | a span of the stream from end to end |
| prune.py  | months that leave Redis once they are archived |
| dump.py   | backup and restore |
| cel.py    | Asterisk's own record, for the time we were away |
| meter.py  | what is counted |
"""
