"""What leaves the ledger in bulk: rows of calls, transfers or facts, as CSV or Parquet, and months put into an archive.

| file | knows |
|---|---|
| tables.py  | the columns, and how facts become rows, one after another |
| csvfile.py | CSV that opens in Excel in Chinese and runs nothing there |
| parquet.py | Parquet, a row group at a time |
| archive.py | a month of the ledger's entries as they are, its manifest, and reading it again |

Must not know: Redis (entries come through an iterator), HTTP.
"""
