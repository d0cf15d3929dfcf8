"""States to disk and back, and what damage does."""

import dataclasses
import io
import pickle
import zipfile

import numpy as np
import pytest

from tests.trainer.data import classes
from trainer import ArchiveError, TrainConfig, TrainState, archive, load, run, save
from trainer.checkpoint import config_of, from_arrays, to_arrays

CONFIG = TrainConfig(neurons=(4,), epochs=3)


def npy(array: np.ndarray) -> bytes:
    """A file of one array."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    """A file of arrays, as anyone would write it."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(name: str, content: str) -> bytes:
    """A zip archive of one text."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def same(a: TrainState, b: TrainState) -> bool:
    """Whether two states are equal bit for bit."""
    return (
        # As text: NaN is not equal to itself.
        repr((a.epoch, a.steps, a.diverged, a.progress))
        == repr((b.epoch, b.steps, b.diverged, b.progress))
        and a.parameters.dtype == b.parameters.dtype
        and {name: array.tobytes() for name, array in a.arrays.items()}
        == {name: array.tobytes() for name, array in b.arrays.items()}
    )


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam"},
        {"optimizer": "sgd"},
        {"optimizer": "lbfgs", "batch_size": "full"},
        {"norm": "batch"},
        {"ema": 0.9},
        {"patience": 1, "plateau": 1},
        {"ema": 0.9, "patience": 1, "norm": "batch", "dtype": "float64"},
    ],
)
def test_round_trip(tmp_path, options):
    """A state read back is the same, replaces an older one, and leaves nothing else behind."""
    config = TrainConfig(neurons=(4,), epochs=2, **options)
    _, first = run(config, classes(), seed=0, until=1)
    _, second = run(config, classes(), seed=0)
    path = tmp_path / "state.npz"
    for state in (first, second):
        save(path, state)
        found = load(path)
        assert same(found, state)
        assert all(type(n) is int for n in (found.epoch, found.steps, found.progress.stale))
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_training_goes_on_from_disk(tmp_path):
    """Training from a checkpoint gives the bits of training without a stop."""
    _, whole = run(CONFIG, classes(), seed=0)
    _, state = run(CONFIG, classes(), seed=0, until=1)
    save(tmp_path / "state.npz", state)
    _, resumed = run(CONFIG, classes(), seed=0, state=load(tmp_path / "state.npz"))
    assert same(resumed, whole)


def test_damage_is_noticed(tmp_path):
    """A flipped bit or a lost end is refused, or was not in anything that is read."""
    _, state = run(CONFIG, classes(), seed=0)
    path = tmp_path / "state.npz"
    save(path, state)
    sound = path.read_bytes()
    refused = 0
    for position in range(0, len(sound), 7):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            found = load(path)
        except ArchiveError:
            refused += 1
        else:
            assert same(found, state)
    assert refused > len(sound) / 7 / 2
    for length in (0, 1, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(ArchiveError, match=r"state\.npz: not a whole archive"):
            load(path)


def test_changed_contents_are_noticed(tmp_path):
    """An archive that is whole but not what was written does not match its digest."""
    _, state = run(CONFIG, classes(), seed=0)
    path = tmp_path / "state.npz"
    save(path, state)
    with np.load(path) as content:
        arrays = dict(content)
    arrays["parameters"][0] += 1
    np.savez(path, **arrays)
    with pytest.raises(ArchiveError, match="SHA-256"):
        load(path)


def test_another_schema(tmp_path):
    """An archive of something else says what it holds."""
    archive.write(tmp_path / "x.npz", {"a": np.zeros(3)}, schema="weather 7")
    with pytest.raises(ArchiveError, match=r"holds 'weather 7', but 'trainer.TrainState 2' is"):
        load(tmp_path / "x.npz")


def test_pickled_objects_are_refused(tmp_path):
    """An archive with a pickle in it is not opened."""
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ArchiveError, match=r"x\.npz: it holds pickled objects, which are never"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epoch,loss\n", "not a whole archive: it is no .npz file, or a part of one"),
        (pickle.dumps({"epoch": 3}), "not a whole archive: it is no .npz file"),
        (b"", "not a whole archive: it is no .npz file"),
        (npy(np.zeros(3)), "not a whole archive: it is no .npz file"),
        (npz(a=np.zeros(3)), "it has no schema or no SHA-256: it was not written by this package"),
        (zipped("a.txt", "hello"), "it has no schema or no SHA-256"),
    ],
)
def test_other_files(tmp_path, content, message):
    """Files of other kinds are refused in words of ours, without advice to open them."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ArchiveError) as error:
        load(path)
    assert f"{path}: {message}" in str(error.value)
    assert "pickle" not in str(error.value)


def test_what_the_state_was_trained_under(tmp_path):
    """A checkpoint tells the configuration; one that does not is read as well."""
    config = TrainConfig(neurons=(4,), activation=("tanh",), epochs=1)
    _, state = run(config, classes(), seed=0)
    save(tmp_path / "state.npz", state)
    assert load(tmp_path / "state.npz").config == config
    save(tmp_path / "state.npz", dataclasses.replace(state, config=None))
    assert load(tmp_path / "state.npz").config is None


def test_a_configuration_of_another_version(tmp_path):
    """A field that is not known makes a model unreadable, and a state none the worse."""
    _, state = run(CONFIG, classes(), seed=0)
    arrays = to_arrays(state)
    arrays["config"] = np.array(arrays["config"].item().replace(b"epochs", b"rounds"))
    assert same(from_arrays(arrays), state)
    assert from_arrays(arrays).config is None
    with pytest.raises(ArchiveError, match=r"configuration of another version: .*'rounds'"):
        config_of({"neurons": [4], "rounds": 3})


def test_folders_are_made(tmp_path):
    """Folders on the way to a file are made."""
    _, state = run(CONFIG, classes(), seed=0)
    save(tmp_path / "a" / "b" / "state.npz", state)
    assert same(load(tmp_path / "a" / "b" / "state.npz"), state)


def test_no_file(tmp_path):
    """A missing file is that, and not a damaged one."""
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "state.npz")
