"""How release-0.1.0.db was made: with the code of release 0.1.0 on the path,

    python make.py release-0.1.0.db

It holds two studies of study.toml: `finished`, and `killed`, whose process ended in the middle.

schema-3.db holds the same by the code before schema 4; the name of its machine was taken out.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from sweep import studyfile
from sweep.backends.serial import SerialBackend
from sweep.decisions import Decide
from sweep.orchestrator import run
from sweep.store import Store


def make(path: Path) -> None:
    spec = studyfile.load(Path(__file__).with_name("study.toml"))
    finished, killed = (spec.model_copy(update={"name": name}) for name in ("finished", "killed"))
    with Store(path) as store:
        list(run(finished, store, SerialBackend))
    if (child := os.fork()) == 0:
        with Store(path) as store:
            for event in run(killed, store, SerialBackend):
                if isinstance(event, Decide) and event.trial.number == 12:
                    os._exit(0)
    os.waitpid(child, 0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE studies SET holder = 'elsewhere:1' WHERE name = 'killed'")
        connection.commit()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
