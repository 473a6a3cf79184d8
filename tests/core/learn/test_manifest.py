"""`manifest.csv` as spreadsheets, scripts and hands write it: read, or refused with the reason."""

import codecs
import sys
import unicodedata
from pathlib import Path

import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.micrograph import GreyRange

NFC, NFD = "Körner", unicodedata.normalize("NFD", "Körner")


def folder_of(tmp_path: Path, content: bytes | str, *files: str) -> Path:
    for name in files or ("pictures/0.png", "pictures/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "manifest.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path


def read(tmp_path: Path, content: bytes | str, *files: str):
    dataset = read_dataset(folder_of(tmp_path, content, *files))
    return [(dataset.name(picture), picture.category) for picture in dataset.pictures]


def refusal(tmp_path: Path, content: bytes | str, *files: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_dataset(folder_of(tmp_path, content, *files))
    assert "\n" not in str(caught.value)
    return str(caught.value)


ROWS = [("path", "class"), ("pictures/0.png", "Pores"), ("pictures/1.png", "Matrix")]
EXPECTED = ROWS[1:]


def text(delimiter: str = ",", end: str = "\n", rows=ROWS) -> str:
    return end.join(delimiter.join(row) for row in rows) + end


@pytest.mark.parametrize(
    "content",
    [
        text(";"),
        text("\t"),
        text("|"),
        text(",", "\r\n"),
        text(";", "\r"),
        "sep=;\r\n" + text(";", "\r\n"),
        '"sep=|"\n' + text("|"),
        "SEP=\t\r\n" + text("\t"),
        "sep=^\n" + text("^"),
        "sep=;\r" + text(";", "\r"),
        # What the file says of its delimiter is wrong.
        "sep=;\n" + text(","),
        text().replace("path,class", "Path,CLASS"),
        text().replace("path,class", ' "Path" , Class '),
        text().replace("path,class", "'path','class'"),
        text().replace("path,class", "ｐａｔｈ,class"),
        text().replace("/", "\\"),
        text().replace("pictures/", ".\\pictures/"),
        text().replace("pictures/", "./pictures//"),
        text() + ",\n\n , \n",
        "\n\n" + text(),
        ",\n" + text(),
        text(";") + ";;;\n",
        text(rows=[(*row, "", "") for row in ROWS]),
        text(rows=[(*ROWS[0], "", ""), *((*row, "seen", "") for row in ROWS[1:])]),
        text(rows=[("", *row) for row in ROWS]),
        text(rows=[("note", *ROWS[0]), ("two; semicolons; here", *ROWS[1]), ("; ; ;", *ROWS[2])]),
        text(rows=[("note", *ROWS[0]), ('"a, b\nand ""c"""', *ROWS[1]), ("", *ROWS[2])]),
        text(rows=[row[::-1] for row in ROWS]),
    ],
)
def test_tables_are_read_however_they_are_laid_out(tmp_path, content):
    assert read(tmp_path, content) == EXPECTED


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: codecs.BOM_UTF8 + t.encode(),
        lambda t: t.encode("utf-16"),
        lambda t: codecs.BOM_UTF16_BE + t.encode("utf-16-be"),
        lambda t: t.encode("utf-16-le"),
        lambda t: t.encode("utf-16-be"),
        lambda t: t.encode("utf-32"),
    ],
    ids=["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le without mark", "utf-16-be without mark", "utf-32"],
)
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_unicode_is_read_however_it_is_encoded(tmp_path, encode, delimiter):
    rows = [*ROWS[:2], ("pictures/1.png", "Größe 😀")]
    assert read(tmp_path, encode(text(delimiter, "\r\n", rows))) == [*ROWS[1:2], ("pictures/1.png", "Größe 😀")]
    assert read_dataset(tmp_path).notes == ()


def test_old_encodings_are_read_with_a_word(tmp_path):
    rows = [("path", "class"), ("pictures/0.png", "Größe")]
    assert read(tmp_path, text(rows=rows).encode("cp1252")) == [("pictures/0.png", "Größe")]
    (note,) = read_dataset(tmp_path).notes
    assert "not UTF-8" in note
    assert "Windows-1252" in note
    assert "Größe" in note


@pytest.mark.parametrize(
    ("encoding", "name", "called"),
    [
        ("cp1252", "Größe", "Western"),
        ("cp1250", "źródło", "Central"),
        ("cp1251", "поры", "Cyrillic"),
        ("cp932", "試料", "Japanese"),
    ],
)
def test_the_files_that_are_there_tell_the_encoding(tmp_path, encoding, name, called):
    rows = [("path", "class"), (f"{name}.png", name)]
    assert read(tmp_path, text(rows=rows).encode(encoding), f"{name}.png") == [(f"{name}.png", name)]
    assert called in read_dataset(tmp_path).notes[0]


@pytest.mark.parametrize("word", ["Körner", "Größe", "café", "5 µm Öl", "Ñandú"])
def test_western_words_need_no_file_name_to_be_read(tmp_path, word):
    rows = [("path", "class"), ("pictures/0.png", word)]
    assert read(tmp_path, text(rows=rows).encode("cp1252")) == [("pictures/0.png", word)]
    assert "Western European" in read_dataset(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("word", "encoding"),
    [
        ("Поры", "cp1251"),
        ("裂纹", "gbk"),
        ("균열", "cp949"),
        ("Körner", "cp850"),
        ("café", "cp850"),
        ("기공", "cp949"),
        ("Körner", "mac_roman"),
        ("çatlağı", "cp1254"),
        ("試料", "cp932"),
    ],
)
def test_an_encoding_is_not_guessed_where_words_would_change(tmp_path, word, encoding):
    """No file has a name that tells it; with another category, training would go on with words that nobody wrote."""
    content = text(rows=[("path", "class"), ("pictures/0.png", word)]).encode(encoding)
    assert "in several other encodings" in refusal(tmp_path, content)


def test_a_file_name_that_several_encodings_share_proves_none(tmp_path):
    rows = [("path", "class"), ("Körner.png", "řezný")]
    assert "in several other encodings" in refusal(tmp_path, text(rows=rows).encode("cp1250"), "Körner.png")


def test_a_sign_of_copyright_is_western(tmp_path):
    rows = [("path", "class", "licence"), ("pictures/0.png", "P", "© Müller")]
    read(tmp_path, text(rows=rows).encode("cp1252"))
    assert read_dataset(tmp_path).pictures[0].licence == "© Müller"


@pytest.mark.parametrize("line", ["sep=;", "sep = ;", "sep=;;;", '"sep=;"', '"sep=;";;', "SEP = ; ", "sep=;,,"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_statement_of_the_delimiter_is_no_header(tmp_path, line, end):
    content = end.join([line, "path;class", "pictures/0.png;a, b", ""])
    assert read(tmp_path, content.encode()) == [("pictures/0.png", "a, b")]


def test_values_as_programs_write_them(tmp_path):
    boxes = "path,class,y0,x0,y1,x1\npictures/0.png,P,0.0,0.0,4.0,4.0\npictures/1.png,P,,,,\n"
    read(tmp_path, boxes.encode())
    assert [picture.box for picture in read_dataset(tmp_path).pictures] == [(0, 0, 4, 4), None]
    assert read(tmp_path, b'path,class\npictures/0.png,"pore\n"\npictures/1.png,pore\t\n') == [
        ("pictures/0.png", "pore"),
        ("pictures/1.png", "pore"),
    ]
    thousands = b"path;class;pixel_size;grey_low;grey_high\npictures/0.png;P;5,0E-9;0;65.535\n"
    assert "may part thousands or decimals; write 65535 or 65,535" in refusal(tmp_path, thousands)
    read(tmp_path, b"path,class,pixel_size_nm\npictures/0.png,P,5\n")
    assert "'pixel_size_nm' means nothing here" in read_dataset(tmp_path).notes[0]
    rows = "path,class\n" + "".join(f"pictures/{n}.png,{'裂纹' * 60}\n" for n in range(2))
    assert read(tmp_path, rows.encode("utf-16-le")) == [(f"pictures/{n}.png", "裂纹" * 60) for n in range(2)]


def test_no_encoding_that_fits_is_said(tmp_path):
    said = refusal(tmp_path, text(rows=[("path", "class"), ("größe.png", "Pores")]).encode("cp1252"), "other.png")
    assert "not UTF-8" in said


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04" + bytes(200), "spreadsheet's own file"),
        (b"\xd0\xcf\x11\xe0" + bytes(200), "spreadsheet's own file"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"path,class\n", "no rows"),
        (b"path,class\n,\n", "no rows"),
        (b"path,label\npictures/0.png,P\n", "no column class; its first line names path, label"),
        (b"pictures/0.png,Pores\n", "no columns class, path"),
        (b"path,class,class\npictures/0.png,P,Q\n", "column class more than once"),
        (b"path,class\npictures/0.png,P\x00Q\n", "line 2 holds NUL"),
        (b"path,class\npictures/0.png,Pores, large\n", "line 2 has more values than there are columns ('large'"),
        (b'path,class\npictures/0.png,"Pores\npictures/1.png,Matrix\n', "line 2 cannot be read"),
        (b'path,note,class\npictures/0.png,"a\nb",P\n\npictures/1.png,,\n', "line 5 lacks its class"),
        (b"path,class\n,P\n", "line 2 lacks its path"),
        (b"path,class\npictures/9.png,P\n", "line 2 names pictures/9.png, which is not there."),
        (b"path,class\nPictures/0.png,P\n", "but pictures is"),
        (b"path,class\npictures/0.PNG,P\n", "but 0.png is"),
        (b"path,class\npictures/0,P\n", "but 0.png is"),
        (b"path,class\npics/0.png,P\n", "no folder pics"),
        (b"path,class\npictures/0.png,P\n./pictures/0.png,P\n", "more than once"),
        (b"path,class\npictures/0.png,P\npictures/../pictures\\0.png,Q\n", "more than once"),
        (b'path,class\npictures/0.png,"Po\nres"\n', "one line of at most 200"),
        (b"path,class\npictures/0.png," + b"x" * 201 + b"\n", "one line of at most 200"),
    ],
)
def test_the_true_reason_is_said(tmp_path, content, reason):
    if sys.platform != "linux" and "but " in reason:
        pytest.skip("this disk does not tell case")
    assert reason in refusal(tmp_path, content)


@pytest.mark.skipif(sys.platform == "win32", reason="such paths are Windows' own")
@pytest.mark.parametrize("name", ["C:\\data\\0.png", "D:/data/0.png", "\\\\server\\share\\0.png"])
def test_paths_of_a_windows_computer_are_named_as_such(tmp_path, name):
    assert "a path on a Windows computer" in refusal(tmp_path, text(rows=[ROWS[0], (name, "P")]))


@pytest.mark.skipif(sys.platform == "win32", reason="no name holds a backslash there")
def test_a_name_that_holds_a_backslash_is_taken_as_it_is(tmp_path):
    assert read(tmp_path, text(rows=[ROWS[0], ("a\\b.png", "P")]), "a\\b.png", "a/b.png") == [("a\\b.png", "P")]


def test_addresses_of_files_are_paths(tmp_path):
    file = (tmp_path / "a b.png").as_uri()
    assert read(tmp_path, text(rows=[ROWS[0], (file, "P")]), "a b.png") == [("a b.png", "P")]


@pytest.mark.parametrize(("listed", "there"), [(NFC, NFD), (NFD, NFC)])
def test_files_are_found_in_the_other_unicode_form(tmp_path, listed, there):
    rows = [ROWS[0], (f"{listed}/{listed}.png", "P")]
    folder_of(tmp_path, text(rows=rows), f"{there}/{there}.png")
    (picture,) = read_dataset(tmp_path).pictures
    assert picture.path.is_file()


def test_one_file_named_in_two_forms_is_one_file(tmp_path):
    rows = [("path", "class", "y0", "x0", "y1", "x1")]
    rows += [(f"{name}.png", "P", "0", "0", "9", "9") for name in (NFC, NFD)]
    folder_of(tmp_path, text(rows=rows), f"{NFC}.png")
    dataset = read_dataset(tmp_path)
    assert dataset.files == (0, 0)
    assert len({picture.group for picture in dataset.pictures}) == 1


def test_decimal_commas_are_read_where_semicolons_part_values(tmp_path):
    rows = [("path", "class", "pixel_size", "grey_low", "grey_high"), ("pictures/0.png", "P", "2,5E-09", "1,5", "1234")]
    (picture,) = read_dataset(folder_of(tmp_path, text(";", rows=rows))).pictures
    assert picture.pixel_size == pytest.approx(2.5e-9)
    assert picture.grey == GreyRange(1.5, 1234)


def test_a_comma_that_may_part_thousands_is_not_guessed_at(tmp_path):
    rows = [("path", "class", "grey_low", "grey_high"), ("pictures/0.png", "P", "0", '"1,234"')]
    assert "thousands or decimals" in refusal(tmp_path, text(rows=rows))


@pytest.mark.parametrize(
    ("train", "valid"), [("train", "valid"), ("Train", "VALID"), ("training", "validation"), (" train ", "val")]
)
def test_parts_are_read_by_their_usual_names(tmp_path, train, valid):
    rows = [("path", "class", "part"), ("pictures/0.png", "P", train), ("pictures/1.png", "P", valid)]
    assert [p.part for p in read_dataset(folder_of(tmp_path, text(rows=rows))).pictures] == ["train", "valid"]
