"""Files as people have them: read with the types found, or refused in words that tell the mend."""

import gzip
import io
import re
import socket
import threading
from contextlib import closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import feather, ipc

from sweep.datasets import fetch, files
from sweep.datasets.delimited import DELIMITERS
from sweep.datasets.memory import available, check_room
from sweep.dataspec import SOURCES, DataSpec
from sweep.errors import StudyFileError

PLAIN = b"x,y\n1,2\n3,4\n"


def spec(file, **given):
    target = {} if str(file).endswith(".npz") else {"target": "y"}
    return DataSpec(source=str(file), **(target | given))


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def archive(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def parquet(frame):
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


def arrow_file(frame):
    file = io.BytesIO()
    feather.write_feather(frame, file)
    return file.getvalue()


def arrow_stream(frame):
    file, table = io.BytesIO(), pa.Table.from_pandas(frame)
    with ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


FRAME = pd.DataFrame(
    {
        "a": [1, 2, 3, 4],
        "b": [0.5, None, 1.5, 2.5],
        "c": ["u", "v", None, "u"],
        "y": ["no", "yes", "yes", "no"],
    }
)
SAME = {
    "t.csv": FRAME.to_csv(index=False).encode(),
    "t.csv.gz": gzip.compress(FRAME.to_csv(index=False).encode()),
    "t.tsv": FRAME.to_csv(index=False, sep="\t").encode(),
    "semicolon.csv": FRAME.to_csv(index=False, sep=";").encode(),
    "bar.txt": FRAME.to_csv(index=False, sep="|", lineterminator="\r\n").encode(),
    "mark.csv": FRAME.to_csv(index=False).encode("utf-8-sig"),
    "spaces.csv": b"a, b, c, y\n1, .5, u, no\n2, ?, v, yes\n3, 1.5, NA, yes\n4, 2.5, u, no\n",
    "t.parquet": parquet(FRAME),
    "category.parquet": parquet(FRAME.astype({"c": "category", "y": "category"})),
    "t.feather": arrow_file(FRAME),
    "t.arrow": arrow_stream(FRAME),
}
"""The same table in every way."""


@pytest.mark.parametrize("name", SAME)
def test_formats(tmp_path, name):
    """Every format gives the same frame, at once and in blocks, and each knows its rows."""
    data = spec(write(tmp_path, name, SAME[name]))
    raw = files.read(data)
    pd.testing.assert_frame_equal(raw.frame, FRAME, check_dtype=False)
    assert raw.frame.dtypes.astype(str).tolist() == ["int64", "float64", "str", "str"]
    assert (raw.target, raw.classes, raw.notes) == (("y",), None, ())
    place = "line 4" if name.partition(".")[2] in ("csv", "csv.gz", "tsv", "txt") else "row 3"
    assert raw.where(2).endswith(f"{name}, {place}")
    again = pd.concat(files.blocks(data.source, data))
    pd.testing.assert_frame_equal(again, FRAME, check_dtype=False)


@pytest.mark.parametrize("source", SOURCES)
def test_bundled_sets(source):
    """scikit-learn's sets as they are: every feature, and class indices with their names."""
    raw = files.read(DataSpec(source=source))
    assert raw.target == ("target",)
    assert (raw.frame.drop(columns="target").dtypes == np.float64).all()
    if SOURCES[source] == "classification":
        assert set(raw.frame["target"]) == set(range(len(raw.classes)))
    assert raw.where(0) == f"{source}, row 1"
    with pytest.raises(StudyFileError, match=rf'{source} has no column "sise" \(data.columns\)'):
        files.read(DataSpec(source=source, columns={"sise": "drop"}))


def test_arrays(tmp_path):
    """Of an .npz, matrices become columns of their own types, named by `features` if there."""
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    raw = files.read(spec(write(tmp_path, "a.npz", archive(x=x, y=np.array(["u", "v", "u"])))))
    assert raw.frame.columns.tolist() == ["x_0", "x_1", "y"]
    assert raw.frame["x_1"].dtype == np.float32
    assert np.array_equal(raw.frame[["x_0", "x_1"]], x)
    names = {"features": np.array(["p", "q"]), "when": np.array(["2024-01-01"] * 3, "M8[D]")}
    raw = files.read(spec(write(tmp_path, "b.npz", archive(X=x, y=x, **names))))
    assert raw.frame.columns.tolist() == ["p", "q", "y_0", "y_1", "when"]
    assert raw.target == ("y_0", "y_1")
    assert raw.frame["when"].dtype == "M8[us]"


GAP = None
TYPES = {
    "whole": ("1,2,3", "int64", [1, 2, 3]),
    "real": ("1,2.5,1e3", "float64", [1, 2.5, 1000]),
    "gaps": ("1,,3", "float64", [1, GAP, 3]),
    "marks": ("1,NA,?", "float64", [1, GAP, GAP]),
    "leading zeros": ("007,010,1", "int64", [7, 10, 1]),
    "spaces": (" 1 , 2,3 ", "int64", [1, 2, 3]),
    "signs": ("+1,-2.,.5", "float64", [1, -2, 0.5]),
    "huge": ("1,2,123456789012345678901", "float64", [1, 2, 123456789012345678901.0]),
    "texts": ("a, b,null", "str", ["a", "b", GAP]),
    "some numbers": ("a,b,1", "str", ["a", "b", "1"]),
    "truths": ("true,False,", "str", ["true", "False", GAP]),
    "nothing": (",,", "float64", [GAP, GAP, GAP]),
    "hex": ("0x10,0x11,0x12", "str", ["0x10", "0x11", "0x12"]),
    "underscores": ("1_000,2_000,3", "str", ["1_000", "2_000", "3"]),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_of_texts(tmp_path, name):
    """A column of texts is one of whole numbers, of numbers, or of texts; some texts mean none."""
    texts, dtype, values = TYPES[name]
    lines = "x|y\n" + "".join(f"{value}|1\n" for value in texts.split(","))
    column = files.read(spec(write(tmp_path, "t.csv", lines))).frame["x"]
    assert column.dtype == dtype
    assert [GAP if pd.isna(value) else value for value in column] == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_are_read_to_the_last_bit(tmp_path, values):
    """What Python writes of a float is read as that float."""
    text = "x,y\n" + "".join(f"{value!r},1\n" for value in values)
    column = files.read(spec(write(tmp_path, "t.csv", text))).frame["x"]
    assert column.tolist() == values


def test_decimal_comma(tmp_path):
    """With data.decimal, commas are decimal points, and never found as the delimiter."""
    file = write(tmp_path, "t.csv", "x;z;y\n1,5;a,b;0,25\n2,5;c;1\n")
    frame = files.read(spec(file, decimal=",")).frame
    assert frame.to_dict("list") == {"x": [1.5, 2.5], "z": ["a,b", "c"], "y": [0.25, 1.0]}


def test_charset(tmp_path):
    """A file in the charset that the study names is read in it."""
    for charset in ("latin-1", "cp1252", "utf-16", "utf-8"):
        file = write(tmp_path, "t.csv", "größe,y\nklein,1\nübel,2\n".encode(charset))
        frame = files.read(spec(file, charset=charset)).frame
        assert frame.to_dict("list") == {"größe": ["klein", "übel"], "y": [1, 2]}


cells = st.lists(
    st.lists(st.text("ab01 .é\"',;|\t\n", max_size=6), min_size=3, max_size=3),
    min_size=1,
    max_size=8,
)


@given(cells, st.sampled_from([*DELIMITERS]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_quoting_and_lines(tmp_path, rows, delimiter):
    """Whatever pandas writes is read back, and the line of each row is where it begins."""
    frame = pd.DataFrame(rows, columns=["a", "b", "c"]).assign(y="t")
    text = frame.to_csv(index=False, sep=delimiter, quoting=1)
    data = spec(write(tmp_path, "t.csv", text), delimiter=delimiter, task="classification")
    data = data.model_copy(update={"columns": dict.fromkeys("abc", "categorical")})
    raw = files.read(data)
    assert len(raw.frame) == len(frame)
    for name in "abc":
        for found, written in zip(raw.frame[name], frame[name], strict=True):
            text = written.strip()
            assert pd.isna(found) or str(found) == text or float(found) == float(text)
    lines = 2 + np.cumsum([0, *(1 + sum(c.count("\n") for c in row) for row in rows)])
    for row in range(len(rows)):
        assert raw.where(row).endswith(f", line {lines[row]}")


def test_rows_without_a_target(tmp_path):
    """They are left out, and told; whole numbers that gaps made real are whole again."""
    raw = files.read(spec(write(tmp_path, "t.csv", "x,y\n1,2\n3,\n,5\n")))
    assert raw.notes == ("1 of 3 rows lack y and are left out",)
    assert raw.frame["y"].tolist() == [2, 5]
    assert raw.frame["y"].dtype == np.int64
    assert raw.where(raw.frame.index[1]).endswith("line 4")


MANY = "1,2\n" * 20
GOOD = archive(x=np.ones((4, 2)), y=np.arange(4))
BROKEN = {
    "delimiter": ("t.csv", "x y\n1 2\n", {}, r'one column only, "x y": .*data.delimiter'),
    "other delimiter": (
        "t.csv",
        "x;y\n1;2\n",
        {"delimiter": ","},
        r'"x;y": but semicolons are .*data.delimiter be ";"',
    ),
    "charset": (
        "t.csv",
        "x,y\na,1\né,2\n".encode("latin-1"),
        {},
        r't.csv, line 3: byte 0xe9 is not utf-8 text; cp1252 fits: .*data.charset be "cp1252"',
    ),
    "no cp1252": ("t.csv", b"x,y\na,1\n\x81,2\n", {}, "byte 0x81 .* latin-1 fits"),
    "charset of UTF-16": ("t.csv", "x,y\n1,2\n".encode("utf-16"), {}, "line 1: .* utf-16 fits"),
    "charset given": ("t.csv", "x,y\né,1\n", {"charset": "ascii"}, "not ascii text; utf-8 fits"),
    "late charset": (
        "t.csv",
        b"x,y\n" + b"a,1\n" * 100_000 + b"\xe9,2\n",
        {},
        "line 100002: byte 0xe9",
    ),
    "target": ("t.csv", "x,price\n1,2\n", {"target": "prise"}, '"prise".*did you mean "price"'),
    "column": ("t.csv", PLAIN, {"columns": {"z": "drop"}}, r'no column "z" \(data.columns\)'),
    "weight": ("t.csv", PLAIN, {"weight": "w"}, r'no column "w" \(data.weight\); there are x, y'),
    "by": ("t.csv", PLAIN, {"by": "when", "split": "time"}, r'no column "when" \(data.by\)'),
    "mixed types": (
        "t.csv",
        f'x,y\n{MANY}\n"n ""a""",2\n',
        {},
        r'line 23: column "x" holds "n "a"" where 95.2% .*data.columns.x = "categorical"',
    ),
    "mixed target": ("t.csv", f"y,x\n{MANY}abc,2\n", {}, 'line 22: column "y" .* no number'),
    "not numeric": (
        "t.csv",
        "x,y\na,1\n3,2\n",
        {"columns": {"x": "numeric"}},
        "line 2: .*no number",
    ),
    "target of regression": (
        "t.csv",
        "x,y\n1,7\n1,low\n",
        {"task": "regression"},
        'line 3: column "y" holds "low", which is no number',
    ),
    "decimal comma": (
        "t.csv",
        "x;y\n1,5;2\n2,5;3\n",
        {},
        r'line 2: column "x" holds "1,5"; .*data.decimal be ","',
    ),
    "thousands": ("t.csv", 'x,y\n"1,500",2\n', {}, "write numbers without commas"),
    "duplicate names": ("t.csv", "x,y,x\n1,2,3\n", {}, r'"x" is that of several columns \(1, 3\)'),
    "infinite": ("t.csv", "x,y\n1,2\n1e999,3\n-inf,4\n", {}, r"line 3: .* infinite .*1 more row"),
    "infinite target": ("t.npz", archive(x=np.eye(2), y=np.array([1, np.inf])), {}, 'row 2: .*"y"'),
    "empty": ("t.csv", "", {}, "t.csv is empty"),
    "blank": ("t.csv", " \n\n", {}, "t.csv is empty"),
    "header only": ("t.csv", "x,y\n", {}, "a header and no rows"),
    "short line": ("t.csv", 'x,y\n1,2\n\n"a\nb",3\n4\n', {}, "line 6: 1 value where .* 2 columns"),
    "long line": ("t.csv", "x,y\n1,2,3\n", {}, "line 2: 3 values where the header has 2 columns"),
    "open quote": ("t.csv", 'x,y\n1,2\n"3,4\n5,6\n', {}, "line 3: .*a quote not closed"),
    "no target at all": ("t.csv", "x,y\n1,\n2,NA\n", {}, '"y" is missing in every row'),
    "gz": ("t.csv.gz", gzip.compress(PLAIN * 1000)[:60], {}, "damaged, or no gzip file"),
    "no gz": ("t.csv.gz", PLAIN, {}, "no gzip file"),
    "gz of Parquet": ("t.parquet.gz", b"", {}, "only text files are read from .gz"),
    "Parquet": ("t.parquet", parquet(FRAME)[:-9], {}, "t.parquet is damaged, or no Parquet file"),
    "no Parquet": ("t.parquet", PLAIN, {}, "no Parquet file"),
    "lists": (
        "t.parquet",
        parquet(FRAME.assign(l=[[1]] * 4)),
        {},
        'column "l" holds list<.*write the file without it',
    ),
    "Arrow": ("t.arrow", arrow_file(FRAME)[:200], {}, "damaged, or no Arrow file"),
    "npz": ("t.npz", GOOD[:100], {}, "t.npz is damaged"),
    "no npz": ("t.npz", PLAIN, {}, "is no .npz archive"),
    "objects": (
        "t.npz",
        archive(x=np.array([[{}], [None]], dtype=object), y=np.arange(2)),
        {},
        "Python objects, which are never unpickled",
    ),
    "lengths": (
        "t.npz",
        archive(x=np.ones((4, 2)), y=np.ones(3)),
        {},
        "x has 4 rows, y has 3 rows",
    ),
    "images": (
        "t.npz",
        archive(x=np.ones((4, 2, 2)), y=np.ones(4)),
        {},
        r"x.reshape\(len\(x\), -1",
    ),
    "scalar": ("t.npz", archive(x=np.ones((4, 2)), y=1.0), {}, r"y has the shape \(\)"),
    "complex": ("t.npz", archive(x=np.ones((4, 2)) + 1j, y=np.ones(4)), {}, "type complex128"),
    "names": (
        "t.npz",
        archive(x=np.ones((4, 2)), y=np.ones(4), features=np.array(["a"])),
        {},
        "1 names of features, and x has 2 columns",
    ),
    "no y": ("t.npz", archive(x=np.ones((4, 2))), {}, "no array y: .* there are x_0, x_1"),
    "no arrays": ("t.npz", archive(), {}, "has no arrays"),
    "no rows": ("t.npz", archive(x=np.ones((0, 2)), y=np.ones(0)), {}, "has no rows"),
    "Excel": ("t.xlsx", b"PK", {}, "an Excel workbook, .*save it as CSV"),
    "JSON": ("t.json", b"{}", {}, "is JSON, .*save it as CSV"),
    "pickle": ("t.pkl", b"", {}, "is a pickle, .*save it as CSV"),
    "ending": ("t.data", PLAIN, {}, r'".data" says .*\.csv, .*\.npz'),
}
"""Name, contents, keys of [data], and what is said."""


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(tmp_path, monkeypatch, case):
    """One line names the file as the user does, the place in it, and what to do."""
    monkeypatch.chdir(tmp_path)
    name, content, given, message = BROKEN[case]
    with pytest.raises(StudyFileError) as error:
        files.read(spec(write(tmp_path, name, content), **given))
    assert re.match(rf"{re.escape(name)}\b", text := str(error.value))
    assert re.search(message, text)
    assert len(text.splitlines()) == 1


def test_mends(tmp_path):
    """What would help is told to programs too, and helps."""
    for content, mend in (
        ("x,y\né,1\nb,2\n".encode("cp1252"), {"charset": "cp1252"}),
        (b"x;y\n1,5;2\n2,5;3\n", {"decimal": ","}),
    ):
        data = spec(write(tmp_path, "t.csv", content))
        with pytest.raises(StudyFileError) as error:
            files.read(data)
        assert error.value.mend == mend
        assert len(files.read(data.model_copy(update=mend)).frame) == 2


def test_allowed_in_spite_of_mixed_types(tmp_path):
    """A column whose kind the study file gives may hold texts and numbers."""
    file = write(tmp_path, "t.csv", f"x,y\n{MANY}abc,2\n")
    for kind in ("categorical", "drop"):
        assert files.read(spec(file, columns={"x": kind})).frame["x"].dtype == "str"
    codes = write(tmp_path, "c.csv", "x,y\n01,1\n1,2\nNA,3\n")
    data = spec(codes, columns={"x": "categorical"})
    for frame in (files.read(data).frame, *files.blocks(data.source, data)):
        assert frame["x"].fillna("none").tolist() == ["01", "1", "none"]
    labels = write(tmp_path, "l.csv", f"y,x\n{MANY}abc,2\n")
    assert files.read(spec(labels, task="classification")).frame["y"].iloc[-1] == "abc"


def test_where_there_is_no_file(tmp_path, monkeypatch):
    """A folder, and a name that is nearly right."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "houses.csv", PLAIN)
    (tmp_path / "folder.csv").mkdir()
    for name, message in (
        ("folder.csv", "folder.csv is a folder; name a file in it"),
        ("house.csv", "house.csv: there is no such file; did you mean houses.csv?"),
        ("none/house.csv", "none/house.csv: there is no such file; nor is there a folder"),
    ):
        with pytest.raises(StudyFileError) as error:
            files.read(spec(tmp_path / name))
        assert str(error.value).startswith(message)


def test_a_file_beyond_memory(tmp_path):
    """A file that cannot fit is refused before it is read, however large: this one is a hole."""
    file = tmp_path / "huge.csv"
    with file.open("wb") as hole:
        hole.write(b"x,y\n")
        hole.truncate(1 << 42)
    with pytest.raises(
        StudyFileError, match=r"about 1\d{4}.\d GB of memory, .* has \d+.\d GB free"
    ):
        files.read(spec(file))


def test_room():
    """What is needed is compared with what there is; where nobody knows, reading is tried."""
    check_room("t.csv", 1e9, 2e9)
    check_room("t.csv", 1e18, None)
    with pytest.raises(StudyFileError, match=r"t.csv: .* about 3.0 GB .* has 2.0 GB free"):
        check_room("t.csv", 3e9, 2e9)
    assert available() is None or 1e6 < available() < 1e15


class Refusing(BaseHTTPRequestHandler):
    """Answers that access is not allowed."""

    def do_GET(self):
        self.send_response(403)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


class Serving(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve():
    """Starts servers on this machine, and gives their addresses."""
    running = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def test_urls(tmp_path, serve):
    """A file on a server is read as one on disk."""
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        write(tmp_path, name, SAME[name])
        place = serve(partial(Serving, directory=tmp_path))
        raw = files.read(spec(f"http://{place}/{name}"))
        pd.testing.assert_frame_equal(raw.frame, FRAME, check_dtype=False)
        assert raw.where(0) == f"http://{place}/{name}, row 1"
    assert len(files.read(spec(f"file://{tmp_path}/t.csv")).frame) == 4


def test_urls_that_fail(tmp_path, serve):
    """One line says why, and passwords and tokens in the URL stay secret."""
    missing, refusing = serve(partial(Serving, directory=tmp_path)), serve(Refusing)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    for place, message in (
        (missing, "nothing is at this address"),
        (refusing, "status 403; is access allowed"),
        (nobody, "Connect call failed .*is the address right"),
    ):
        with pytest.raises(StudyFileError, match=message) as error:
            files.read(spec(f"http://me:hunter2@{place}/t.csv?token=hunter3"))
        assert str(error.value).startswith(f"http://{place}/t.csv cannot be read: ")
        assert "hunter" not in "".join(map(str, chain(error.value)))
    for url, message in (("foo://x/t.csv", "kind of URL is not known"),):
        with pytest.raises(StudyFileError, match=message):
            files.read(spec(url))


def chain(error):
    """An exception and what a traceback would show with it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_server_that_never_answers():
    """It is waited for as long as was said, and no longer."""
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
        pytest.raises(StudyFileError, match=r"no answer within 0.1 s"),
        fetch.opened(f"http://127.0.0.1:{silent.getsockname()[1]}/t.csv", seconds=0.1),
    ):
        pass


def outcome(folder, name, content):
    """Reads a file in both ways: a frame, or an error for people."""
    data = spec(write(folder, name, content))
    with told():
        raw = files.read(data)
        assert raw.frame.columns.is_unique
        assert len(raw.frame)
        assert {"U" if d == "str" else d.kind for d in raw.frame.dtypes} <= set("biufMU")
        raw.where(0)
    with told():
        for frame in files.blocks(data.source, data):
            assert frame.columns.is_unique


@contextmanager
def told():
    """Lets errors for people pass, of one line each."""
    found = None
    try:
        yield
    except StudyFileError as error:
        found = str(error)
    assert found is None or len(found.splitlines()) == 1


FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(st.binary(max_size=200) | st.text('xy,;|\t\n\r"1.é\0 \ufeff', max_size=60).map(str.encode))
@example(b'x,y\n"\x00')
@example(b"\xef\xbb\xbf")
@example(b"x,y\r1,2\r")
@example(b'"x,y\n1,2\n')
@example(b'"\x00\n\x00";\r;')
@FUZZ
def test_any_bytes_as_csv(tmp_path, content):
    """Any bytes named .csv give a frame or an error for people, with header or without."""
    outcome(tmp_path, "t.csv", content)
    outcome(tmp_path, "h.csv", b"x,y\n1,2\n" + content)


def mangled(content):
    """A file with a piece cut off, or some bytes changed."""
    changes = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)

    def apply(length, changes):
        file = bytearray(content)
        for place, byte in changes:
            file[place] = byte
        return bytes(file[:length])

    return st.builds(apply, st.integers(0, len(content)) | st.just(len(content)), changes)


@pytest.mark.parametrize("name", ["t.npz", "t.parquet", "t.feather", "t.arrow", "t.csv.gz"])
def test_mangled_files(tmp_path, name):
    """A damaged binary file gives a frame or an error for people."""
    whole = GOOD if name == "t.npz" else SAME[name]

    @given(st.binary(max_size=50) | mangled(whole))
    @FUZZ
    def holds(content):
        outcome(tmp_path, name, content)

    holds()
