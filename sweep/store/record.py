"""The record of studies, written by one orchestrator a study."""

import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from sweep.errors import StudyLocked, StudyNotFound
from sweep.store import lease as leases
from sweep.store import rollback, schema
from sweep.store.batch import Batch, Row
from sweep.store.lease import Claim, Lease
from sweep.store.location import Location
from sweep.store.reader import Reader

T = TypeVar("T")


class Store(Reader):
    """The record at a place: a SQLite file or a PostgreSQL database.

    What a method wrote is durable when it returns. A database that went away is waited for; after
    two minutes, or where waiting is no use, StoreError says what is wrong.
    """

    def __init__(self, place: Path | str | Location, *, read_only: bool = False) -> None:
        super().__init__(place, read_only=read_only)
        self._counting = threading.Lock()
        self._written: dict[Lease, int] = {}

    def request(self, name: str, request: str, detail: Row) -> int:
        """Ask something of a study, whoever runs it, and get the number of the request."""
        claim, table = Claim.new(), schema.requests
        row = {
            "study": self.study(name)["id"],
            "time": datetime.now(UTC),
            "request": request,
            "by": f"process {claim.holder.pid} on {claim.holder.host} ({claim.call})",
        }
        same = [table.c[column] == value for column, value in row.items()]

        def once(connection: Connection) -> int:
            # It is there already if all that was lost is the answer to its commit.
            known = connection.scalars(select(table.c.id).where(*same)).first()
            new = insert(table).values(**row, detail=detail).returning(table.c.id)
            return int(connection.scalars(new).one() if known is None else known)

        return self._write(once)

    # What follows is for the process that runs a study.

    def claim(
        self, name: str, spec: Row, data_fingerprint: str, version: str, *, take_over: bool = False
    ) -> Lease:
        """Take the study's lease, creating the study if it is new.

        Raises StudyLocked if it is held; `take_over` also takes a study whose holder is known to
        have left the database.
        """
        asked = {"spec": spec, "data_fingerprint": data_fingerprint, "version": version}

        def create(connection: Connection) -> None:
            now = self._database.now()
            times = {"datetime_created": now, "datetime_changed": now}
            new = {"name": name, "state": "running", "token": 0}
            connection.execute(insert(schema.studies).values(**new, **asked, **times))

        return self._take(name, take_over, create, self._begin_session)

    def hold(self, name: str, *, take_over: bool = False) -> Lease:
        """Take the lease of a study to add to its record what is no part of the study: no session
        begins, and its state stays as it is, where one whose process is gone is `stopped`.
        Otherwise as `claim`, of a study that is there."""

        def refuse(connection: Connection) -> None:
            raise StudyNotFound(f"no study {name!r} in {self.place}")

        def begin(connection: Connection, lease: Lease, claim: Claim) -> None:
            table = schema.studies
            lost = (table.c.id == lease.study) & table.c.state.in_(("running", "paused"))
            connection.execute(update(table).where(lost).values(state="stopped"))

        return self._take(name, take_over, refuse, begin)

    def _take(
        self,
        name: str,
        take_over: bool,
        create: Callable[[Connection], None],
        begin: Callable[[Connection, Lease, Claim], None],
    ) -> Lease:
        claim, table = Claim.new(), schema.studies

        def once(connection: Connection) -> tuple[Lease, int]:
            now = self._database.now().label("now")
            query = select(table, now).where(table.c.name == name).with_for_update()
            connection.execute(select(schema.schema_version).with_for_update())  # one claim a time
            row = connection.execute(query).mappings().first()
            if row is None:
                create(connection)
                row = connection.execute(query).mappings().one()
            if row["holder"] == str(claim):  # all that was lost is the answer to the commit
                return Lease(row["id"], name, row["token"], str(claim)), row["batch"]
            self._check_free(connection, row, take_over)
            lease = Lease(row["id"], name, row["token"] + 1, str(claim))
            self._end_lost(connection, lease, row["datetime_changed"])
            begin(connection, lease, claim)
            self._hand_over(connection, lease)
            return lease, row["batch"]

        lease, batch = self._write(once)
        self._written[lease] = batch
        return lease

    def _check_free(self, connection: Connection, row: RowMapping, take_over: bool) -> None:
        if leases.is_free(row["holder"], row["lease_expires"], row["now"]):
            return
        if take_over and self._database.has_left(connection, Claim.of(row["holder"]).holder):
            return
        unproven = "; it cannot be proven from here that it is gone" if take_over else ""
        raise StudyLocked(
            f"study {row['name']!r} is being run by {leases.describe(row)}{unproven}; wait for it, "
            "or stop it there, and run the command again"
        )

    def _end_lost(self, connection: Connection, lease: Lease, last_heard_of: datetime) -> None:
        table = schema.sessions
        left = (table.c.study == lease.study) & table.c.ended.is_(None)
        connection.execute(update(table).where(left).values(ended=last_heard_of, end="lost"))

    def _hand_over(self, connection: Connection, lease: Lease) -> None:
        connection.execute(
            update(schema.studies)
            .where(schema.studies.c.id == lease.study)
            .values(
                holder=lease.holder,
                token=lease.token,
                lease_expires=self._database.now(leases.SECONDS),
                datetime_changed=self._database.now(),
            )
        )

    def _begin_session(self, connection: Connection, lease: Lease, claim: Claim) -> None:
        connection.execute(
            insert(schema.sessions).values(
                study=lease.study,
                token=lease.token,
                host=claim.holder.host,
                pid=claim.holder.pid,
                started=self._database.now(),
            )
        )
        mine = schema.studies.c.id == lease.study
        connection.execute(update(schema.studies).where(mine).values(state="running"))

    def renew(self, lease: Lease) -> None:
        """Keep the lease for another 15 s."""

        def once(connection: Connection) -> None:
            table, expires = schema.studies, self._database.now(leases.SECONDS)
            mine = (table.c.id == lease.study) & (table.c.token == lease.token)
            change = update(table).where(mine)
            change = change.values(lease_expires=expires, datetime_changed=self._database.now())
            if connection.execute(change).rowcount != 1:
                raise _taken_over(lease)

        self._write(once)

    def release(self, lease: Lease, state: str, **columns: Any) -> None:
        """Give the study back in its new state."""

        def end(connection: Connection) -> None:
            ended = {"ended": self._database.now(), "end": state}
            connection.execute(self._session(lease).values(ended))

        self._transact(lease, end, state=state, holder=None, lease_expires=None, **columns)

    def let_go(self, lease: Lease) -> None:
        """Give a study back that was only held; its state stays as it is."""
        self._transact(lease, lambda connection: None, holder=None, lease_expires=None)

    def begin_confirmation(self, lease: Lease, number: int, question: Row, version: str) -> None:
        """Record what is to be confirmed; `number` counts a study's confirmations from 0."""
        table = schema.confirmations
        row = {"study": lease.study, "number": number, "question": question, "state": "begun"}
        new = insert(table).values(**row, version=version, datetime_start=datetime.now(UTC))
        self._transact(lease, lambda connection: connection.execute(new))

    def end_confirmation(self, lease: Lease, number: int, state: str, result: Row | None) -> None:
        """Record what a confirmation came to, and give the study back; of one that `failed` the
        errors are forgotten, so that those trainings can be tried again."""
        table, trained = schema.confirmations, schema.retrainings
        mine = (table.c.study == lease.study) & (table.c.number == number)
        ended = {"state": state, "result": result, "datetime_complete": datetime.now(UTC)}
        errors = (trained.c.study == lease.study) & (trained.c.outcome == "error")

        def end(connection: Connection) -> None:
            connection.execute(update(table).where(mine).values(**ended))
            if state == "failed":
                connection.execute(delete(trained).where(errors))

        self._transact(lease, end, holder=None, lease_expires=None)

    def session(self, lease: Lease, **columns: Any) -> None:
        """Record of this process's session its `cpus`, `backend` or when it was `ready`."""
        change = self._session(lease).values(columns)
        self._transact(lease, lambda connection: connection.execute(change))

    def _session(self, lease: Lease) -> Any:
        table = schema.sessions
        return update(table).where(table.c.study == lease.study, table.c.token == lease.token)

    def clear(self, lease: Lease) -> None:
        """Forget all that a study did, so that it begins anew."""

        def forget(connection: Connection) -> None:
            trained = (schema.events, schema.attempts, schema.epochs, schema.retrainings)
            for table in (*trained, schema.trials, schema.platforms, schema.confirmations):
                connection.execute(delete(table).where(table.c.study == lease.study))

        self._transact(lease, forget)

    def roll_back(self, lease: Lease, step: int, spec: Row, more: Collection[str] = ()) -> None:
        """Undo what was decided at `step` and later, so that the study goes on from there as
        `spec` says; the epochs and attempts of trials that had begun before stay.

        If one of the budgets of which there is `more` now had closed the study, it is open again.
        """
        self._transact(
            lease,
            lambda connection: rollback.undo(connection, lease.study, step, more),
            state="running",
            spec=spec,
            best=None,
            test=None,
            test_low=None,
            test_high=None,
        )

    def write(self, lease: Lease, batch: Batch, **columns: Any) -> None:
        """Write a batch, and columns of the study, in one transaction that the token guards."""
        columns = {"lease_expires": self._database.now(leases.SECONDS), **columns}
        self._transact(lease, lambda connection: batch.write(connection, lease.study), **columns)

    def _transact(self, lease: Lease, work: Callable[[Connection], Any], **columns: Any) -> None:
        """Do `work` in the transaction number n + 1 of the study, if it had n and the lease stands.

        Where a connection breaks during COMMIT, the number says whether it was committed.
        """
        table = schema.studies
        mine = (table.c.id == lease.study) & (table.c.token == lease.token)
        with self._counting:
            written = self._written[lease]
            change = update(table).where(mine, table.c.batch == written)
            values = {"batch": written + 1, "datetime_changed": self._database.now(), **columns}

            def once(connection: Connection) -> None:
                if connection.execute(change.values(values)).rowcount == 1:
                    work(connection)
                elif connection.scalars(select(table.c.batch).where(mine)).first() != written + 1:
                    raise _taken_over(lease)

            self._write(once)
            self._written[lease] = written + 1

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._carry_out("write", self._database.writing, work)


def _taken_over(lease: Lease) -> StudyLocked:
    return StudyLocked(
        f"study {lease.name!r} was taken over by another process while this one was not heard of; "
        "nothing more was written here"
    )
