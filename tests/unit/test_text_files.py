"""Text from other programs is understood or refused in one line; tables of ours run in no spreadsheet."""

import csv
import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey._text_files import decode_text, mark_formula, printable, read_table, unmark_formula, write_table
from covey.errors import InvalidValueError
from covey.images import scan_images
from covey.pipeline import read_label_table
from covey.text import read_vocabulary

TEXT = "filename{0}class\nStraße é.png{0}größer\nb.png{0}b\n"


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("cp1252", "cp1252"),
        ("latin-1", "cp1252"),
    ],
)
@pytest.mark.parametrize(("mark", "word"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_labels_are_read_in_any_form_and_say_which(tmp_path: Path, codec: str, name: str, mark: str, word: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(TEXT.format(mark).encode(codec))
    found = read_label_table(path)
    assert found.classes == {"Straße é.png": "größer", "b.png": "b"}
    assert found.form == f"{name}, {word}-separated"


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(codec: str) -> None:
    assert decode_text("a,b\nc,d\n".encode(codec), "It") == ("a,b\nc,d\n", "UTF-16")


def test_empty_cells_are_no_class(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"Filename,Class\na.png,x\nb.png,\nc.png,  \nd.png\n\n")
    assert read_label_table(path) == ({"a.png": "x"}, "UTF-8, comma-separated", 3)


def test_names_are_compared_composed(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("filename,class\ncafe\u0301.png,x\ncaf\u00e9.png,x\n".encode())
    assert list(read_label_table(path).classes) == ["caf\u00e9.png"]


def test_long_cells_are_read_and_the_limit_of_the_process_stays(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = tmp_path / "labels.csv"
    path.write_bytes(b"filename,caption,class\na.png," + b"x" * 200_000 + b",y\n")
    assert read_label_table(path).classes == {"a.png": "y"}
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"filename,class\na\x00,b\n", "a zero byte"),
        (b"filename,class\n\x81,b\n", "byte 15 is not allowed"),
        (b"\xff\xfea", "not text in UTF-16"),
        (b"", r"has the columns \(none\)"),
        (b"name,kind\na,b\n", "it needs one of filename"),
    ],
)
def test_what_is_not_a_table_of_labels_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(data)
    with pytest.raises(InvalidValueError, match=message) as caught:
        read_label_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("codec", ["utf-16", "cp1252"])
def test_a_vocabulary_says_how_it_was_read(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("café\r\nhöhle\r\n".encode(codec))
    words = read_vocabulary(path)
    assert words.words == ("café", "höhle")
    assert words.source.endswith(f"read as {'UTF-16' if codec == 'utf-16' else codec}")


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_list_of_images_finds_them_in_any_encoding(
    tmp_path: Path, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    from PIL import Image

    names = ["a.png", "größe.png", "e\u0301.png"]
    for name in names:
        Image.new("RGB", (8, 8), (len(name), 2, 3)).save(tmp_path / name)
    listed = [name for name in names if codec != "cp1252" or name != "e\u0301.png"]
    (tmp_path / "list.txt").write_bytes("".join(f"{name}\r\n" for name in listed).encode(codec))
    report = scan_images([tmp_path / "list.txt"])
    assert {file.path.name for file in report.files} == set(listed)
    assert report.failures == []
    assert ("read as UTF-16" in caplog.text) == codec.startswith("utf-16")


def test_a_list_finds_names_that_the_disk_writes_composed(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "\u00e9.png")
    (tmp_path / "list.txt").write_bytes("e\u0301.png\n".encode())
    assert [file.path.name for file in scan_images([tmp_path / "list.txt"]).files] == ["\u00e9.png"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=x", "＝1", "'=1", "''@x"])
def test_a_formula_is_marked_and_comes_back(cell: str) -> None:
    assert mark_formula(cell) == f"'{cell}"
    assert unmark_formula(mark_formula(cell)) == cell


@pytest.mark.parametrize("cell", ["a=1", "'a", "", " =1", -1, -0.5, None])
def test_other_cells_stay(cell: object) -> None:
    assert mark_formula(cell) == cell
    assert not isinstance(cell, str) or unmark_formula(cell) == cell


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=3), max_size=5))
def test_a_table_comes_back_cell_by_cell(rows: list[list[str]]) -> None:
    file = io.StringIO(newline="")
    write_table(file, [["path", "class"], *rows])
    found = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert [[unmark_formula(cell) for cell in row] for row in found] == [["path", "class"], *rows]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in found for cell in row)


@given(st.text())
def test_nothing_printable_acts_on_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
    shown.encode("utf-8")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    with suppress(InvalidValueError):
        assert read_table(data, "It", (("filename",), ("class",))).form.endswith("-separated")
