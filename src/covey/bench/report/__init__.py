"""From lines of results to what people read. Start reading at `_tables.py`; nothing here runs or fits anything."""

from covey.bench.report._tables import Row, Table, build_tables
from covey.bench.report._write import write_report

__all__ = ["Row", "Table", "build_tables", "write_report"]
