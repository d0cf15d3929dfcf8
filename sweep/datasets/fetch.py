"""A source, a path or a URL, as an open file."""

import difflib
import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from sweep.datasets.problems import DataProblem
from sweep.dataspec import is_url
from sweep.dataspec import name_of as name_of

SECONDS = 10.0
"""How long a server may take to answer, and to go on after that."""


def endings(source: str) -> tuple[str, ...]:
    """What a source's name ends in, such as (".csv", ".gz"), in small letters."""
    path = name_of(source) if is_url(source) else source
    return tuple(ending.lower() for ending in Path(path).suffixes[-2:])


@contextmanager
def opened(source: str, seconds: float = SECONDS) -> Iterator[BinaryIO]:
    """The bytes of a source, unpacked if it is a .gz; DataProblem if they cannot be had.

    A URL is first copied into a temporary file, so that every reader can go to and fro in it.
    """
    with _download(source, seconds) if is_url(source) else _local(Path(source)) as file:
        if endings(source)[-1:] == (".gz",):
            with gzip.GzipFile(fileobj=file) as unpacked, _unpacking(source):
                yield cast(BinaryIO, unpacked)
        else:
            yield file


def unpacked_size(file: IO[bytes]) -> int:
    """Bytes of an open local file; of a .gz, what its last bytes say (modulo 4 GiB)."""
    packed = file.fileobj if isinstance(file, gzip.GzipFile) else file
    size = int(packed.seek(0, 2))
    if packed is not file and size >= 4:
        packed.seek(-4, 2)
        size = max(size, int.from_bytes(packed.read(4), "little"))
    packed.seek(0)
    return size


@contextmanager
def _unpacking(source: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataProblem(
            f"{name_of(source)} is damaged, or no gzip file ({error}); get it again, or name it "
            "without .gz if it is not packed"
        ) from None


def _local(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise DataProblem(
                f"{name_of(str(path))} is a folder; name a file in it{_nearest(path / 'data.csv')}"
            )
        return path.open("rb")
    except FileNotFoundError:
        raise DataProblem(f"{name_of(str(path))}: there is no such file{_nearest(path)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataProblem(f"{name_of(str(path))} cannot be read: {reason}") from None


def _nearest(path: Path) -> str:
    try:
        names = sorted(file.name for file in path.parent.iterdir() if file.is_file())
    except OSError:
        return f"; nor is there a folder {path.parent}"
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"; did you mean {name_of(str(path.parent / close[0]))}?" if close else ""


@contextmanager
def _download(source: str, seconds: float) -> Iterator[BinaryIO]:
    import fsspec

    options = {}
    if source.startswith(("http://", "https://")):
        from aiohttp import ClientTimeout

        limits = ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
        options = {"client_kwargs": {"timeout": limits}}
    with tempfile.TemporaryFile() as copy:
        try:
            with fsspec.open(source, "rb", **options) as remote:
                shutil.copyfileobj(remote, copy, 1 << 20)
        except Exception as error:  # each kind of server has its own kinds
            reason = _reason(error, seconds)
        else:
            reason = ""
        # Outside of the handler: the library's own error may hold what the URL keeps secret.
        if reason:
            raise DataProblem(f"{name_of(source)} cannot be read: {reason}")
        copy.seek(0)
        yield copy


def _reason(error: Exception, seconds: float) -> str:
    """Why a download failed, in words that do not repeat the URL."""
    if isinstance(error, ImportError):
        return f"{error}; pip install what it names"
    if isinstance(error, ValueError) and str(error).startswith("Protocol not known"):
        return "this kind of URL is not known; use https://, s3://, gs:// or a path"
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, TimeoutError):
            return f"no answer within {seconds:g} s; is the machine connected?"
        status = getattr(cause, "status", None)
        if status == 404:
            break
        if status:
            return f"the server answers with status {status}; is access allowed?"
    told = [str(cause.strerror) for cause in causes if isinstance(cause, OSError)]
    # Some libraries put the URL where the reason should be.
    reasons = [reason for reason in told if reason != "None" and "://" not in reason]
    return f"{reasons[0]}; is the address right?" if reasons else "nothing is at this address"
