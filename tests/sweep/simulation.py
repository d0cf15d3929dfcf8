"""Random studies on a simulated cluster on unlucky days: `python -m tests.sweep.simulation SEED`.

A seed makes a small study, a virtual cluster with faults, what users ask of it meanwhile, and
drivers that die, one after the other, until the study is complete. The record must then keep the
invariants, and its table and its decisions must be those of one undisturbed fold of the same study.
"""

import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from sweep import (
    budget,
    checkpoints,
    control,
    datasets,
    dispatch,
    journal,
    loop,
    orchestrator,
    studyfile,
)
from sweep.backends import Report
from sweep.backends.simulated import Clock, Faults, SimulatedBackend
from sweep.cost import Shape
from sweep.decisions import decisions
from sweep.errors import StudyFailed, StudyLocked, SweepError
from sweep.orchestrator import run
from sweep.rows import epoch_row, key
from sweep.spec import PRUNERS, StudySpec
from sweep.steps import Await, Begin, Decide, Full, Promote, Turn
from sweep.store import Store, databases, record
from sweep.store import batch as batches
from tests.sweep import invariants
from tests.sweep.doom import POINTS, Crash, Doom, PerilousCheckpoints, PerilousStore, perilous
from tests.sweep.invariants import Table, Told, told

START = 1_800_000_000.0
LEASE = 16.0
"""Virtual seconds after which a dead driver's lease has run out."""

FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
NAME = "simulated"


# The question.


def a_study(luck: random.Random) -> StudySpec:
    """A small random study."""
    own, several = luck.random() < 0.15, luck.random() < 0.1
    pruner = "none" if several else luck.choice(PRUNERS)
    sampler = luck.choices(
        ("random", "quasi_random", "tpe", "nsga2", "cma_es"), (80, 8, 5, 3, 0 if several else 4)
    )[0]
    epochs = luck.randint(1, 12)
    search: dict[str, Any] = {
        "trials": luck.randint(4, 12),
        "workers": luck.randint(1, 6),
        "seed": luck.randrange(1000),
        "sampler": sampler,
        "pruner": pruner,
        "reduction_factor": luck.randint(2, 4),
        "min_epochs": luck.randint(1, min(2, epochs)),
        "replicates": luck.randint(2, 3) if pruner == "wilcoxon" or luck.random() < 0.2 else 1,
        "repeats": luck.random() < 0.3,
    }
    if search["replicates"] > 1:
        search["resample"] = luck.choice(("seeds", "folds"))
    if luck.random() < 0.15:
        search[luck.choice(("wall_time", "cpu_time"))] = luck.uniform(5.0, 60.0)
    train: dict[str, Any] = {"epochs": epochs, "metric": luck.choice(("accuracy", "loss"))}
    if luck.random() < 0.1:
        train["time_limit"] = luck.uniform(1.0, 10.0)
    if several and not own:
        search["objectives"] = [train["metric"], "parameters"]
    if own:
        train["function"] = "tests.sweep.trainers:plain"
        space: dict[str, Any] = {
            "depth": {"low": 1, "high": 3},
            "rate": {"low": 0.1, "high": 1.0},
            "kind": ["a", "b"],
        }
    else:
        space = {
            "layers": {"low": 0, "high": 2},
            "neurons": {"low": 2, "high": 8},
            "optimizer": ["sgd", "adam"],
            "learning_rate": {"low": 1e-3, "high": 1.0, "log": True},
        }
        if luck.random() < 0.2:  # few configurations, hence duplicates
            space = {"layers": {"low": 0, "high": 1}, "neurons": {"low": 2, "high": 4}}
    raw = {"name": NAME, "data": {"source": "sklearn:iris"}}
    return studyfile.from_json(raw | {"space": space, "train": train, "search": search})


def a_request(luck: random.Random, spec: StudySpec) -> tuple[str, dict[str, Any]]:
    """Something that a user asks of it."""
    name = luck.choice(("kill", "kill", "enqueue", "edit", "extend", "pause", "stop", "cancel"))
    own = spec.train.function is not None
    detail: dict[str, Any] = {}
    match name:
        case "kill":
            detail = {"trial": luck.randrange(spec.search.trials)}
        case "enqueue":
            params = {"rate": 0.5} if own else {"layers": luck.randint(0, 1)}
            detail = {"params": params}
        case "edit":
            high = luck.choice((2, 3)) if own else luck.choice((4, 6, 12))
            changes = {"depth" if own else "neurons": {"low": 1 if own else 2, "high": high}}
            detail = {"changes": changes}
        case "extend":
            trials = spec.search.trials + luck.randint(1, 6)
            detail = {"trials": trials}
    return name, detail


# The undisturbed run.


@cache
def _loaded(source: str) -> Any:
    spec = studyfile.from_json({"name": NAME, "data": {"source": source}, "space": {}})
    return datasets.load_parts(spec)


def undisturbed(spec: StudySpec, facts: Any, commands: Any) -> tuple[Table, list[Told]]:
    """The table and the decisions of a study, by the fold and the formula alone.

    `commands` are those on record for each step; `facts` are the reports, by segment, of what no
    other run would repeat.
    """
    parts = tuple(dataset for dataset, _ in datasets.load_parts(spec))
    trials: dict[int, dict[str, Any]] = {}
    epochs: list[dict[str, Any]] = []
    said: list[Told] = []
    steps, reply = decisions(spec, Shape.of(parts[0]), {}), None
    with SimulatedBackend(parts, workers=1) as backend:
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                break
            reply = None
            match step:
                case Await(segment=segment):
                    backend.submit(segment)
                    (result,) = backend.wait(1e9)
                    reply = result.report
                    if (fact := facts.get(key(segment))) is not None:
                        outcome, count = fact
                        reply = Report(records=reply.records[:count], outcome=outcome)
                    epochs += [epoch_row(segment, record) for record in reply.records]
                case Turn():
                    reply = commands.get(step.step, ())
                case Begin(trial=trial):
                    trials[trial.number] = {
                        "number": trial.number,
                        "params": trial.params,
                        "seed": trial.seed,
                        "predicted_cost": trial.predicted_cost,
                        **dict.fromkeys(("outcome", "value", "values", "standard_error")),
                        "constraints": None,
                        "state": "running",
                        "epochs": 0,
                    }
                case Promote(last=last):
                    trials[last.trial.number]["state"] = "running"
                case Decide():
                    trials[step.trial.number] |= {
                        "state": step.state,
                        "outcome": step.outcome,
                        "value": step.value,
                        "values": None if step.values is None else list(step.values),
                        "standard_error": step.standard_error,
                        "constraints": list(step.violations) or None,
                        "epochs": step.epochs,
                    }
                case Full():
                    said.append(("full", step.step, None, None, None))
            if isinstance(step, Begin | Promote | Decide):
                said.append(told(step))
    epochs = [row for row in epochs if row["epoch"] <= trials[row["trial"]]["epochs"]]
    epochs.sort(key=lambda row: (row["trial"], row["replicate"], row["epoch"]))
    return ([*trials.values()], [{c: row[c] for c in invariants.EPOCHS} for row in epochs]), said


# The disturbed one.


class Virtual(datetime):
    """The time of day by the simulation's clock."""

    clock = Clock()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(cls.clock.now, tz)


class Immediate(PerilousCheckpoints):
    """Checkpoints without a thread, some of which the disk damages."""

    luck = random.Random()
    damage = 0.0
    damaged: ClassVar[Counter[str]] = Counter()

    def _want(self, key: Any, wanted: Any) -> None:
        self._carry_out(key, wanted)
        file = self._file(*key)
        if wanted is not None and file.is_file() and self.luck.random() < self.damage:
            content = bytearray(file.read_bytes())
            place = self.luck.randrange(len(content))
            if self.luck.random() < 0.5:
                del content[place:]
            else:
                content[place] ^= 1 << self.luck.randrange(8)
            file.write_bytes(content)
            self.damaged["damaged"] += 1


@contextmanager
def virtual(clock: Clock, worth: float) -> Iterator[None]:
    """All clocks are this one, and nothing runs in a thread."""
    Virtual.clock = clock
    with ExitStack() as stack:
        for module in (control, loop, dispatch, budget):
            stack.enter_context(patch.object(module, "time", clock))
        for module in (databases, journal, orchestrator, batches, record):
            stack.enter_context(patch.object(module, "datetime", Virtual))
        stack.enter_context(patch.object(orchestrator, "Checkpoints", Immediate))
        stack.enter_context(patch.object(orchestrator, "HEARTBEAT", 1e6))
        stack.enter_context(patch.object(checkpoints, "WORTH", worth))
        yield


@dataclass
class Simulation:
    """One seed."""

    seed: int
    folder: Path
    happened: Counter[str] = field(default_factory=Counter)
    shown: list[Told] = field(default_factory=list)
    zombies: list[tuple[Any, Store]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.luck = random.Random(self.seed)
        self.spec = a_study(self.luck)
        self.clock = Clock(START)
        self.place = self.folder / "runs" / "sweep.db"
        Immediate.luck = random.Random(self.seed)
        Immediate.damage = self.luck.choice((0.0, 0.3))
        Immediate.damaged = self.happened
        self.worth = self.luck.choice((0.0, 5.0))
        self.most = 0
        self.asks = self.luck.choice((0.0, 0.01, 0.02))
        self.crashes = self.luck.randint(0, 6)
        self.faults = self.some_faults()

    def some_faults(self) -> Faults:
        names = ("crash", "memory", "node", "silence", "delay", "repeat", "forget")
        share = self.luck.choice((0.0, 0.05, 0.3))
        chosen = {name: share for name in names if self.luck.random() < 0.6}
        # Now and then so many that trials end as lost, which is then a fact of the record.
        return Faults(**chosen, most=self.luck.choices((2, 9), (9, 1))[0])

    def start(self, doom: Doom, parts: Any) -> SimulatedBackend:
        backend = perilous(SimulatedBackend, doom)(
            parts,
            workers=self.luck.randint(1, 5),
            nodes=self.luck.randint(1, 2),
            seed=self.luck.randrange(2**32),
            faults=self.faults,
            pace=self.luck.choice((10.0, 300.0)) if self.spec.train.function is None else 0.2,
            clock=self.clock,
        )
        self.backend: SimulatedBackend = backend
        return backend

    def carry_out(self) -> None:
        """Run drivers until the study is complete, then look at its record."""
        with virtual(self.clock, self.worth), Store(self.place) as self.observer:
            while not self.session():
                self.clock.now += LEASE
                assert self.happened["sessions"] < 60, "the study does not come to its end"
            while self.zombies:
                self.wake(*self.zombies.pop())
            if self.luck.random() < 0.2:  # the same file with more trials
                trials = max(self.most, self.stored().search.trials) + 3
                search = self.spec.search.model_copy(update={"trials": trials})
                self.spec = self.spec.model_copy(update={"search": search})
                while not self.session():
                    self.clock.now += LEASE
            self.judge()

    def session(self) -> bool:
        """Whether a driver came to the end of the study."""
        self.happened["sessions"] += 1
        point = None
        if self.happened["crashes"] + self.happened["zombies"] < self.crashes:
            point = self.luck.choice((*POINTS, *["zombie"] * 4))
        doom = Doom(point, 1 + int(self.luck.expovariate(0.2)))
        Immediate.doom = doom
        store = PerilousStore(self.place, doom)
        events = self.drive(store, doom)
        try:
            return self.follow(events, store, doom)
        except Crash:
            self.happened["crashes"] += 1
            return False
        except StudyFailed:
            self.happened["studies that failed"] += 1
            self.shown.clear()  # run again, it begins anew
            return True
        except SweepError as error:
            if "could not be trained again" not in str(error):
                raise
            self.happened["winner lost"] += 1
            return False
        finally:
            if doom.point != "zombie" or not doom.is_dead:
                with suppress(BaseException):
                    events.close()
                store.close()
            self.undo(store)
            if hasattr(self, "backend"):
                self.happened["losses"] += self.backend.losses

    def drive(self, store: PerilousStore, doom: Doom) -> Iterator[Any]:
        self.stop = threading.Event()
        return run(
            self.spec, store, lambda parts: self.start(doom, parts), self.stop, allow_code=True
        )

    def follow(self, events: Iterator[Any], store: PerilousStore, doom: Doom) -> bool:
        ended = None
        for ticks, event in enumerate(events):
            assert ticks < 8_000, "the driver goes round in a circle"
            self.undo(store)
            if isinstance(event, Begin | Promote | Decide):
                self.shown.append(told(event))
            ended = event
            if self.luck.random() < self.asks:
                self.ask()
            if self.luck.random() < 0.002 and self.zombies:
                self.wake(*self.zombies.pop())
            if self.luck.random() < 0.002:
                self.start_another()
            if doom.point == "zombie" and not isinstance(event, orchestrator.Ended):
                doom.time -= 1
                if doom.time <= 0:
                    doom.is_dead, doom.die = True, lambda point: None
                    self.zombies.append((events, store))
                    self.happened["zombies"] += 1
                    return False
        assert isinstance(ended, orchestrator.Ended), ended
        return ended.state == "complete"

    def undo(self, store: PerilousStore) -> None:
        """What was shown of an extended study, before its end was felt, stands."""
        while store.undone:
            step = store.undone.pop()
            self.shown = [row for row in self.shown if row[1] < step]

    def ask(self) -> None:
        """A user asks something from another terminal."""
        stored = self.stored()
        if stored is None or stored.search.trials > 30:
            return
        name, detail = a_request(self.luck, stored)
        if name == "extend":
            self.most = detail["trials"] = max(self.most, stored.search.trials) + 1
        if self.luck.random() < 0.1:
            self.stop.set()
            return
        self.happened[name] += 1
        self.observer.request(NAME, name, detail)
        if name == "pause":
            self.observer.request(NAME, "resume", {})

    def stored(self) -> Any:
        row = self.observer.find(NAME)
        return None if row is None else studyfile.from_json(row["spec"])

    def start_another(self) -> None:
        """A second driver is refused while the first has its lease."""
        row = self.observer.find(NAME)
        if row is None or row["holder"] is None or row["lease_expires"] <= row["now"]:
            return
        if self.spec.search.trials > self.stored().search.trials:
            return  # that would ask for an extension first
        before = self.dump()
        try:
            next(run(self.spec, self.observer, SimulatedBackend, allow_code=True))
        except StudyLocked:
            self.happened["refused"] += 1
        else:
            raise AssertionError("a second driver was let in")
        assert self.dump() == before, "a refused driver wrote something"

    def wake(self, events: Iterator[Any], store: Store) -> None:
        """A driver that was stopped past its lease goes on and must not write."""
        before = self.dump()
        if self.holder_is(store):
            return
        held = bool(store._written)  # else it found the study complete, and took no lease
        try:
            for _ in events:
                pass
        except StudyLocked:
            self.happened["fenced"] += 1
        else:
            assert not held, "a driver that had lost its lease came to an end"
            self.happened["nothing to do"] += 1
        finally:
            store.close()
        assert self.dump() == before, "a driver that had lost its lease wrote something"

    def holder_is(self, store: Any) -> bool:
        """Whether nobody took over from this driver."""
        with closing(invariants.connect(self.place)) as connection:
            (token,) = connection.execute("SELECT token FROM studies").fetchone()
        return any(lease.token == token for lease in store._written)

    def dump(self) -> list[str]:
        with closing(invariants.connect(self.place)) as connection:
            return list(connection.iterdump())

    def judge(self) -> None:
        """The record keeps the invariants and is that of the undisturbed fold."""
        with closing(invariants.connect(self.place)) as connection:
            facts, commands, recorded = _history(connection)
        spec = self.stored()
        like, said = undisturbed(spec, facts, commands)
        found = invariants.violations(self.place, NAME, shown=self.shown, like=like)
        if recorded != said and not self.happened["studies that failed"]:
            pairs = zip(recorded, said, strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), None)
            found.append(f"decisions: recorded and undisturbed differ at {first}")
        assert not found, "\n".join(found)


def _history(connection: Any) -> tuple[Any, Any, list[Told]]:
    """Of a record: the facts that no other run repeats, the commands, and the decisions."""
    facts = {}
    for trial, replicate, start, until, cause in connection.execute(
        "SELECT trial, replicate, start, until, cause FROM attempts WHERE accepted "
        "AND cause NOT IN ('finished', 'diverged')"
    ):
        (count,) = connection.execute(
            "SELECT count(*) FROM epochs WHERE trial = ? AND replicate = ? AND epoch > ? "
            "AND epoch <= ?",
            (trial, replicate, start, until),
        ).fetchone()
        facts[trial, replicate, start, until] = cause, count
    commands: dict[int, list[Any]] = {}
    said: list[Told] = []
    for event, step, trial, epoch, value, detail in connection.execute(
        "SELECT event, step, trial, epoch, value, detail FROM events WHERE step IS NOT NULL "
        "ORDER BY sequence"
    ):
        if event in journal.COMMANDS:
            made = journal.command(event, invariants._json(detail))
            commands.setdefault(step, []).append(made)
        else:
            said.append((event, step, trial, epoch, value))
    return facts, commands, said


def simulate(seed: int) -> Counter[str]:
    """Carry out a seed; what happened. AssertionError says how to see it again."""
    folder = Path(tempfile.mkdtemp(prefix="sweep-simulation-", dir=FOLDER))
    simulation = Simulation(seed, folder)
    try:
        simulation.carry_out()
        return simulation.happened
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise AssertionError(
            f"seed {seed}: see it again with\n  python -m tests.sweep.simulation {seed}\n{error!r}"
        ) from error
    finally:
        for events, _ in simulation.zombies:
            with suppress(Exception):
                events.close()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """One seed, or those from the first to the second."""
    first, *last = map(int, sys.argv[1:])
    total: Counter[str] = Counter()
    for seed in range(first, (last[0] if last else first) + 1):
        try:
            total += simulate(seed)
        except AssertionError as error:
            total["seeds that failed"] += 1
            if not last:
                raise
            print(f"{seed}: {repr(error.__cause__)[:400]}", flush=True)
        total["seeds"] += 1
        if total["seeds"] % 100 == 0 or not last or seed == last[0]:
            print(dict(total), flush=True)


if __name__ == "__main__":
    main()
