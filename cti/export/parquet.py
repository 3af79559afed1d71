"""Parquet of rows, a row group at a time, into anything that takes bytes.

Knows: pyarrow, which is installed with the extra `hotline-cti[export]`: 170 MB, more than all else the service needs
together, for a command few sites run; without it CSV is there, and the error says what to install. Must not know: which
table. What is held is one row group and, at the end, the groups' own index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cti.export.tables import Column, Row

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 10_000
"""rows a group: some 2 MB before compression"""
CURE = ("Parquet 需要 pyarrow：pip install 'hotline-cti[export]'，或用 --format csv / Parquet needs pyarrow: "
        "install hotline-cti[export], or use CSV")  # fmt: skip


class NoParquet(RuntimeError):
    """pyarrow is not there; the text says what to do."""


def arrow() -> Any:
    """pyarrow with its Parquet. Raises `NoParquet`."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise NoParquet(CURE) from None
    return pyarrow


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Types of columns; times are UTC instants shown in Asia/Shanghai."""
    pyarrow = arrow()
    types = {"text": pyarrow.string(), "int": pyarrow.int64(), "time": pyarrow.timestamp("us", tz="Asia/Shanghai")}
    return pyarrow.schema([(column.name, types[column.kind]) for column in columns])


class ParquetRows:
    """Takes rows, gives a file's bytes to ``write``. `close` writes the end, without which it is no file."""

    def __init__(self, columns: Sequence[Column], write: Callable[[bytes], object]) -> None:
        self._arrow, self._schema = arrow(), schema(columns)
        self._rows: list[Row] = []
        self._sink = _Sink(write)
        self._writer = self._arrow.parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def add(self, rows: Sequence[Row]) -> None:
        """More rows; every `GROUP` of them are written."""
        self._rows += rows
        while len(self._rows) >= GROUP:
            self._put(self._rows[:GROUP])
            del self._rows[:GROUP]

    def close(self) -> None:
        """The last rows and the file's end."""
        if self._rows:
            self._put(self._rows)
            self._rows = []
        self._writer.close()

    def _put(self, rows: Sequence[Row]) -> None:
        cells = list(zip(*rows, strict=True))
        arrays = [self._arrow.array(column, field.type) for column, field in zip(cells, self._schema, strict=True)]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema), row_group_size=GROUP)


def read(file: Path) -> Iterator[Row]:
    """The rows of such a file, a group at a time."""
    pyarrow = arrow()
    with pyarrow.parquet.ParquetFile(file) as opened:
        for batch in opened.iter_batches(batch_size=GROUP):
            columns = [
                column.cast(pyarrow.int64()) if pyarrow.types.is_timestamp(column.type) else column
                for column in batch.columns
            ]
            yield from zip(*(column.to_pylist() for column in columns), strict=True)


class _Sink:
    """What pyarrow writes into: bytes go on at once, nothing is kept."""

    closed = False

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self._at = write, 0

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._write(raw)
        self._at += len(raw)
        return len(raw)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False
