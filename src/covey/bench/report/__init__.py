"""From lines of results to what people read. Start reading at `_tables.py`; nothing here runs or fits anything."""

from covey.bench.report._report_files import write_report
from covey.bench.report._score_tables import Row, Table, build_tables

__all__ = ["Row", "Table", "build_tables", "write_report"]
