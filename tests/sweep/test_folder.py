"""A study as a folder of Parquet files: the same study, without its database."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal
from pyarrow import parquet
from sklearn.datasets import load_iris

import sweep
from sweep import orchestrator, studyfile
from sweep.backends.serial import SerialBackend
from sweep.errors import StoreError, StudyNotFound, UsageError
from sweep.loop import Opened
from sweep.results import load
from sweep.store import Store, schema
from tests.sweep.records import rewrite
from tests.sweep.studies import events, finish, small

TABLES = (
    *("trials", "epochs", "curves", "segments", "attempts", "events", "failures", "diagnoses"),
    *("pareto", "top"),
)


def assert_same(found, study):
    """All that a study says but where it is, and that bit for bit."""
    for name in TABLES:
        tables = (getattr(each, name) for each in (found, study))
        mine, other = (table() if callable(table) else table for table in tables)
        assert_frame_equal(mine, other, check_exact=True)
    assert_frame_equal(found.ledger.trials, study.ledger.trials, check_exact=True)
    assert_series_equal(found.ledger.total, study.ledger.total, check_exact=True)
    for name in ("counts", "state", "importances", "importances_basis", "fingerprint", "platforms"):
        assert getattr(found, name) == getattr(study, name)
    assert found.advice() == study.advice()
    assert found.optuna_study.trials == study.optuna_study.trials
    summaries = [each.summary() for each in (found, study)]
    for summary in summaries:
        del summary["store"]
        file = summary["best"].pop("file")
        assert Path(file).is_file()
    assert summaries[0] == summaries[1]


def spec_in(folder, search):
    """A study with some of all there is: pruned trials, replicates, a constraint."""
    record = studyfile.to_json(small(folder, trials=16, replicates=2))
    record["search"] |= {"constraints": {"parameters": {"high": 300}}, **search}
    return studyfile.from_json(record)


@pytest.mark.parametrize(
    "search",
    [{"pruner": "wilcoxon"}, {"objectives": ["accuracy", "parameters"], "pruner": "none"}],
)
def test_the_same_study_from_each_store(place, tmp_path, monkeypatch, search):
    """From SQLite or PostgreSQL, what is read back from the folder is what the database says; the
    model predicts the same, and is the folder's own."""
    monkeypatch.setenv("SWEEP_ARTIFACTS", str(tmp_path / "models"))
    spec = spec_in(tmp_path, search)
    with Store(place) as store:
        for _ in orchestrator.run(spec, store, SerialBackend):
            pass
        store.request("small", "kill", {"trial": 3})  # with what users ask, too
    study = load("small", place)
    study.to_parquet(tmp_path / "export")
    found = sweep.load(tmp_path / "export")
    assert_same(found, study)
    model = study.best.model
    shutil.rmtree(tmp_path / "models", ignore_errors=True)
    rows = load_iris().data
    assert (found.best.model.predict(rows) == model.predict(rows)).all()
    assert found.best.file.is_relative_to(tmp_path / "export")
    # All that is in the database: of the tables of the schema none is left out.
    names = {table.name for table in schema.metadata.sorted_tables} - {"schema_version"}
    assert {file.stem for file in (tmp_path / "export").glob("*.parquet")} == names
    with Store(place, read_only=True) as store, Store(found.place, read_only=True) as copy:
        for read in (*TABLES[:2], "attempts", "events", "sessions", "platforms", "requests"):
            assert getattr(store, read)(1) == getattr(copy, read)(1)
        mine, other = ({**each.study("small"), "now": None} for each in (store, copy))
        assert mine == other


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return finish(small(folder, trials=6), folder / "sweep.db")


@pytest.fixture
def export(study, tmp_path):
    study.to_parquet(tmp_path / "export")
    return tmp_path / "export"


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_the_same_study_gives_the_same_files(study, export, tmp_path):
    """Byte for byte, also from what was read back; an earlier export is replaced, and nothing else
    is left beside it."""
    first = contents(export)
    sweep.load(export).to_parquet(tmp_path / "again")
    assert contents(tmp_path / "again") == first
    study.to_parquet(str(export))
    sweep.load(export).to_parquet(export)
    assert contents(export) == first
    assert {path.name for path in tmp_path.iterdir()} == {"again", "export"}
    assert [*sweep.list(export)["name"]] == ["small"]


def test_the_files_say_what_they_are(export):
    """Anyone can read them: the metadata have study, table, version, release; types are plain."""
    for file in export.glob("*.parquet"):
        about = json.loads(parquet.read_schema(file).metadata[b"sweep"])
        assert (about["study"], about["table"]) == ("small", file.stem)
        assert about["schema"] == schema.VERSION
        assert about["release"]
    trials = pd.read_parquet(export / "trials.parquet")
    assert str(trials["datetime_start"].dtype) == "datetime64[us, UTC]"
    assert set(json.loads(trials["params"][0])) > {"layers", "learning_rate"}


def test_a_study_that_runs_is_written_as_it_is(tmp_path):
    """At one moment, without a winner, and never later than that."""
    going = events(small(tmp_path), tmp_path / "sweep.db")
    assert isinstance(next(going), Opened)
    study = load("small", tmp_path / "sweep.db")
    study.to_parquet(tmp_path / "export")
    found = sweep.load(tmp_path / "export")
    for _ in going:
        pass
    assert len(found.trials) == 0
    assert len(study.trials) == 24


def test_a_file_stays_and_an_empty_folder_is_taken(study, tmp_path):
    """What is there is not written over."""
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        study.to_parquet(file)
    assert file.read_text() == "mine"
    (folder / "empty").mkdir(parents=True)
    study.to_parquet(folder)
    assert sweep.load(folder).name == "small"


@pytest.mark.parametrize("name", ["notes.txt", "models/other.npz", "trials.csv"])
def test_a_folder_that_holds_something_else_is_left_alone(study, export, name):
    """Also if it is an export otherwise."""
    (export / name).write_text("mine")
    before = contents(export)
    with pytest.raises(UsageError, match=f"no export of a study .*{name}"):
        study.to_parquet(export)
    assert contents(export) == before
    with pytest.raises(UsageError, match="no export of a study"):
        study.to_parquet(study.place.place.parent)


def test_the_export_of_another_study_is_left_alone(study, export, tmp_path):
    """Of one of another name, and of one of the same name that is another one; the error says which
    is there."""
    before = contents(export)
    created = study._row()["datetime_created"].isoformat()
    for name in ("small", "other"):
        record = studyfile.to_json(small(tmp_path, trials=1)) | {"name": name}
        another = finish(studyfile.from_json(record), tmp_path / f"{name}.db")
        with pytest.raises(
            UsageError, match=rf"another study, 'small' of {re.escape(created)}; give"
        ):
            another.to_parquet(export)
    assert contents(export) == before
    another.to_parquet(tmp_path / "another")
    with pytest.raises(UsageError, match="another study, 'other'"):
        study.to_parquet(tmp_path / "another")


def test_an_export_of_an_earlier_release_goes_by_its_name(study, export, tmp_path):
    """They did not write when a study was created."""
    before = contents(export)
    rows = parquet.read_table(export / "studies.parquet")
    said = json.loads(rows.schema.metadata[b"sweep"])
    del said["created"]
    rows = rows.replace_schema_metadata({"sweep": json.dumps(said)})
    parquet.write_table(rows, export / "studies.parquet")
    record = studyfile.to_json(small(tmp_path, trials=1)) | {"name": "other"}
    with pytest.raises(UsageError, match="another study, 'small'; give"):
        finish(studyfile.from_json(record), tmp_path / "other.db").to_parquet(export)
    study.to_parquet(export)
    assert contents(export) == before


def test_what_cannot_be_written_leaves_nothing(study, export, tmp_path, monkeypatch):
    """A disk that is full in the middle leaves the earlier export and no pieces."""
    before = contents(export)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(UsageError, match="No space left"):
            study.to_parquet(export)
    refused, rename = [], Path.rename

    def refuses_once(path, target):
        if target == export and not refused:
            refused.append(path)
            raise OSError(13, "Permission denied")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuses_once)
        with pytest.raises(UsageError, match="Permission denied"):
            study.to_parquet(export)
    assert contents(export) == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        study.to_parquet(tmp_path / "file" / "export")
    study.to_parquet(tmp_path / "new" / "folders" / "export")
    assert contents(tmp_path / "new" / "folders" / "export") == before


def cut(file):
    file.write_bytes(file.read_bytes()[:-20])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


def replaced(file):
    pd.DataFrame({"a": [1]}).to_parquet(file)


@pytest.mark.parametrize("damage", [cut, flip, replaced, Path.unlink])
@pytest.mark.parametrize("name", ["studies.parquet", "epochs.parquet", "models", "SHA256SUMS"])
def test_a_damaged_folder_is_refused(export, damage, name):
    """In words that name the file and what to do; nothing is half read."""
    file = next((export / name).iterdir()) if name == "models" else export / name
    damage(file)
    error = StudyNotFound if (damage, name) == (Path.unlink, "studies.parquet") else StoreError
    named = file.name if name != "SHA256SUMS" else ""
    with pytest.raises(error, match=rf"(?s){named}.*(write it again|study\.to_parquet)"):
        sweep.load(export)


def change(export, number, drop=(), without=()):
    """Make a folder one of another version of the schema, with fewer columns of its studies, and
    without some tables."""
    for name in without:
        (export / f"{name}.parquet").unlink()
        sums = export / "SHA256SUMS"
        sums.write_text(re.sub(rf".+  {name}\.parquet\n", "", sums.read_text()))
    file = export / "studies.parquet"
    table = parquet.read_table(file).drop_columns(list(drop))
    about = json.loads(table.schema.metadata[b"sweep"]) | {"schema": number}
    parquet.write_table(table.replace_schema_metadata({"sweep": json.dumps(about)}), file)
    digest, sums = hashlib.sha256(file.read_bytes()).hexdigest(), export / "SHA256SUMS"
    sums.write_text(re.sub(r".+(?=  studies\.parquet)", digest, sums.read_text()))


def test_a_folder_of_a_later_release_is_refused(export):
    """With both versions and what to do."""
    change(export, schema.VERSION + 1)
    with pytest.raises(StoreError, match=f"schema {schema.VERSION + 1}.*upgrade"):
        sweep.load(export)


def test_a_folder_of_an_earlier_release_is_migrated(study, export):
    """By the steps that migrate a store, and in memory: the folder stays as it is."""
    new = ("confirmations", "retrainings")
    change(export, 2, ("test_low", "test_high", "progress"), without=new)
    before = contents(export)
    found = sweep.load(export)
    assert found.best.test == study.best.test
    assert found.best.interval is None
    assert_frame_equal(found.trials, study.trials)
    assert contents(export) == before


def test_a_name_and_a_folder_are_told_apart(study, export, tmp_path, monkeypatch):
    """A string without a separator is a name, whatever folders there are; errors help."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_STORE", raising=False)
    assert sweep.load("./export").name == sweep.load(Path("export")).name == "small"
    assert sweep.load("small", "export").place.is_export
    with pytest.raises(StudyNotFound, match=r"sweep\.load\('\./export'\)"):
        sweep.load("export")
    with pytest.raises(StudyNotFound, match=r"(?s)there: small$"):
        sweep.load("other", study.place)
    with pytest.raises(UsageError, match="leave out the store"):
        sweep.load("./export", study.place)
    with pytest.raises(UsageError, match=r"is a file.*sweep\.load\(NAME"):
        sweep.load(study.place.place)
    with pytest.raises(StudyNotFound, match="no folder"):
        sweep.load("./nowhere")
    with pytest.raises(StudyNotFound, match=r"no studies\.parquet in"):
        sweep.load(tmp_path)


def test_an_export_is_only_read(export, call):
    """Commands that look take it for a store; those that write say what it is."""
    assert "small" in call("list", "--store", export).out
    assert "trial" in call("best", "small", "--store", export).out
    for command in (["pause", "small"], ["extend", "small", "--trials", 3]):
        refused = call(*command, "--store", export)
        assert refused.status != 0
        assert "only read" in refused.err or "complete" in refused.err


def test_the_command_writes_a_folder(study, tmp_path, call):
    """What has no ending is a folder, with all that is on record; what has another is refused."""
    done = call("export", "small", "--to", "folder", "--store", study.place)
    assert done.status == 0
    assert "sweep.load('./folder')" in done.out
    assert_frame_equal(sweep.load("./folder").trials, study.trials)
    printed = json.loads(
        call("export", "small", "--to", "folder", "--json", "--store", study.place).out
    )
    assert (printed["trials"], printed["columns"]) == (6, [])
    refused = call("export", "small", "--to", "trials.xlsx", "--store", study.place)
    assert refused.status == 2
    assert "ending" in refused.err
    assert not Path("trials.xlsx").exists()


def test_numbers_survive_to_the_last_bit(place, tmp_path):
    """Floats, long integers, texts of all kinds and the days before 1970 come back as they were."""
    with Store(place) as store:
        store.claim("odd", {"text": "é\n\"'\u2028", "tiny": 5e-324, "none": None}, "d", "0")
        rewrite(store, test=1 / 3, test_low=5e-324, test_high=1.7976931348623157e308)
        rewrite(store, token=2**62, progress={"1": [3, 0.1 + 0.2, None]})
        store.export("odd", tmp_path / "export")
        before = store.study("odd")
    with Store(tmp_path / "export", read_only=True) as copy:
        after = copy.study("odd")
    assert {**before, "now": None} == {**after, "now": None}
