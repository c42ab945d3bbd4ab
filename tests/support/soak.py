"""Many clients of the REST API, each with rows of its own, whose server is killed and started again on the same data.

Each client knows what its rows are: it looks at them all the time, and whatever is lost, repeated or wrong stops it. Its changes
carry Idempotency-Keys. What nobody answered is asked for again under the same key; what the server says has not happened, under
a new one."""
import asyncio
import os
import pathlib
import random
import signal
import statistics
import time
from collections import Counter

import deltalake
import httpx
import pyarrow as pa
import pyarrow.parquet as pq

import firesteel

# What asks to try again: nobody answered, or not now.
AGAIN = (firesteel.ServerUnreachableError, firesteel.UnavailableError, firesteel.TooManyRequestsError)
# The server says that it did not happen.
VAIN = (firesteel.JobInterruptedError, firesteel.ConflictError)
# The rows of a statement do not outlive the server that had them.
GONE = (firesteel.JobInterruptedError, firesteel.NotFoundError, firesteel.ExpiredError)
PAUSE_SECONDS = 0.1
ROWS_AT_FIRST, ROWS_MAX = 3, 12
LOOKUP_ROWS = 10_000
TABLES_MAX = 8


class Service:
    """A server that is killed and started again, on the same data; its address changes."""

    def __init__(self, folder):
        self.folder, self.kills = folder, 0
        self.client = None

    async def start(self):
        self.server = await asyncio.to_thread(firesteel.EmbeddedServer, data_dir=self.folder)
        # A connection for each who asks.
        wire = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None, max_keepalive_connections=None))
        self.client = firesteel.AsyncClient(self.server.rest, retries=0, timeout=120, http_transport=wire)

    async def kill(self):
        os.kill(self.server.pid, signal.SIGKILL)
        await asyncio.to_thread(self.server.guard.wait, 20)
        await asyncio.to_thread(self.server.stop)
        self.kills += 1
        await self.start()

    async def stop(self):
        await asyncio.to_thread(self.server.stop)


class Counts:
    """What all clients have seen."""

    def __init__(self):
        self.requests, self.retries, self.vain = 0, 0, Counter()
        # Of answered requests, in seconds
        self.seconds = {"reads": [], "changes": []}

    @property
    def reads(self):
        return len(self.seconds["reads"])

    @property
    def changes(self):
        return len(self.seconds["changes"])

    def report(self, kills, faults):
        lines = [
            f"requests  {self.requests}",
            f"reads     {self.reads}",
            f"jobs      {self.changes}",
            f"retries   {self.retries}, of requests that nobody answered, or not then",
            f"in vain   {self.vain['JobInterruptedError']} interrupted, {self.vain['ConflictError']} conflicts: done again",
            f"kills     {kills}",
        ]
        for kind, found in self.seconds.items():
            if len(found) > 1:
                cuts = statistics.quantiles(found, n=100)
                lines.append(f"{kind:<9} p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, most {max(found) * 1000:.0f} ms")
        return "\n".join([*lines, f"faults    {len(faults)}", *faults])


class Client:
    """Reads and changes its own rows of a Delta table, and its own Parquet files."""

    def __init__(self, number, soak):
        self.number, self.soak, self.counts = number, soak, soak.counts
        self.table = soak.tables[number % len(soak.tables)]
        self.files = str(soak.folder / "files" / str(number))
        self.random = random.Random(number)
        self.rows = {key: 0 for key in range(ROWS_AT_FIRST)}
        self.next_key, self.steps, self.value = ROWS_AT_FIRST, 0, None
        # The versions that its changes made, and how many there are: appends do not tell theirs
        self.versions, self.changes_of_table = [], 0
        self.mine = f"client = {number}"

    async def run(self, until):
        reads = [self.read, self.read, self.count, self.compute, self.look_up, self.read_files]
        changes = [self.update, self.update, self.merge, self.append, self.delete, self.modify]
        while time.monotonic() < until:
            await self.random.choice(self.random.choice((reads, reads, changes)))()

    async def until_it_works(self, kind, call):
        while True:
            client, begun = self.soak.service.client, time.monotonic()
            self.counts.requests += 1
            try:
                answer = await call(client)
            except AGAIN:
                self.counts.retries += 1
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self.counts.seconds[kind].append(time.monotonic() - begun)
            return answer

    # Changes

    async def change(self, call):
        """`call(client, key)` makes a job. A client makes one at a time."""
        self.steps += 1
        for attempt in range(1000):
            key = f"{self.number}-{self.steps}-{attempt}"
            try:
                job = await self.until_it_works("changes", lambda client: call(client, key))  # noqa: B023 - awaited here
                return job.metrics
            except VAIN as error:
                self.counts.vain[type(error).__name__] += 1
        raise AssertionError(f"the change {self.steps} of client {self.number} never comes to an end")

    async def change_table(self, call, **expected):
        metrics = await self.change(lambda client, key: call(client.delta(self.table), key))
        for name, count in expected.items():
            assert metrics[name] == count, (self.number, self.steps, metrics, expected)
        self.versions.append(metrics["version"])
        self.changes_of_table += 1

    async def update(self):
        key = self.random.choice(list(self.rows))
        condition = f"{self.mine} AND k = {key}"
        await self.change_table(lambda table, id: table.update({"n": "n + 1"}, condition, idempotency_key=id), rows_updated=1)
        self.rows[key] += 1

    async def delete(self):
        if len(self.rows) < 2:
            return await self.append()
        key = self.random.choice(list(self.rows))
        await self.change_table(lambda table, id: table.delete(f"{self.mine} AND k = {key}", idempotency_key=id), rows_deleted=1)
        del self.rows[key]

    async def merge(self):
        """One row that is there and one that is not."""
        if len(self.rows) >= ROWS_MAX:
            return await self.delete()
        old, new = self.random.choice(list(self.rows)), self.next_key
        source = [{"client": self.number, "k": key, "n": 10} for key in (old, new)]
        fields = {"source_data": source, "merge_key": ["client", "k"], "when_matched": "update", "set": {"n": "target.n + source.n"}}
        await self.change_table(lambda table, id: table.merge(**fields, idempotency_key=id), rows_updated=1, rows_inserted=1)
        self.rows[old] += 10
        self.rows[new] = 10
        self.next_key += 1

    async def append(self):
        """Rows of a file, to the table."""
        if len(self.rows) >= ROWS_MAX:
            return await self.delete()
        number = self.random.randrange(LOOKUP_ROWS)
        sql = f"SELECT {self.number} AS client, {self.next_key} AS k, id AS n FROM data_table WHERE id = {number}"
        fields = {"output_path": self.table, "output_format": "delta", "mode": "append"}
        lookup = lambda client: client.dataset(self.soak.lookup)  # noqa: E731
        metrics = await self.change(lambda client, id: lookup(client).modify(sql, **fields, idempotency_key=id))
        assert metrics["rows_written"] == 1, (self.number, self.steps, metrics)
        self.rows[self.next_key] = number
        self.next_key += 1
        self.changes_of_table += 1

    async def modify(self):
        """Its Parquet files anew; the same again, should the server have been killed in between."""
        value = self.random.randrange(1_000_000)
        sql = f"SELECT id, {value} AS value FROM data_table WHERE id < 5"
        lookup = lambda client: client.dataset(self.soak.lookup)  # noqa: E731
        await self.change(lambda client, id: lookup(client).modify(sql, output_path=self.files, idempotency_key=id))
        self.value = value

    # Reads

    async def read(self):
        ask = lambda client: client.dataset(self.table, format="delta").query(["k", "n"], {"client": self.number}, ["k"])  # noqa: E731
        found = (await self.until_it_works("reads", ask)).data
        assert found == [{"k": key, "n": self.rows[key]} for key in sorted(self.rows)], (self.number, found, self.rows)

    async def statement(self, sql, parameters):
        async def ask(client):
            try:
                return await (await client.sql(sql, parameters)).fetch()
            except GONE as error:
                raise firesteel.UnavailableError(str(error)) from error

        return (await self.until_it_works("reads", ask))[0]

    async def count(self):
        found = await self.statement(f"SELECT count(*) AS rows, sum(n) AS total FROM delta.`{self.table}` WHERE client = :me", {"me": self.number})
        assert found == {"rows": len(self.rows), "total": sum(self.rows.values())}, (self.number, found, self.rows)

    async def compute(self):
        top = self.random.randrange(1, 1000)
        found = await self.statement("SELECT sum(id) AS total FROM range(:top)", {"top": top})
        assert found == {"total": top * (top - 1) // 2}, (top, found)

    async def look_up(self):
        first = self.random.randrange(LOOKUP_ROWS - 10)
        ask = lambda client: client.dataset(self.soak.lookup).query(["id", "name"], {"id": {"between": [first, first + 4]}}, ["id"])  # noqa: E731
        found = (await self.until_it_works("reads", ask)).data
        assert found == [{"id": i, "name": f"name-{i}"} for i in range(first, first + 5)], (first, found)

    async def read_files(self):
        if self.value is None:
            return await self.modify()
        ask = lambda client: client.dataset(self.files).query(order_by=["id"])  # noqa: E731
        found = (await self.until_it_works("reads", ask)).data
        assert found == [{"id": i, "value": self.value} for i in range(5)], (self.number, self.value, found)


class Soak:
    """`clients` of them for `seconds`; the server is killed `kills` times meanwhile."""

    def __init__(self, folder, clients, seconds, kills=2):
        self.folder, self.seconds, self.kills = pathlib.Path(folder), seconds, kills
        self.counts = Counts()
        self.service = Service(self.folder / "data")
        self.tables = [str(self.folder / f"table-{number}") for number in range(min(TABLES_MAX, max(1, clients // 8)))]
        self.lookup = str(self.folder / "lookup.parquet")
        self.clients = [Client(number, self) for number in range(clients)]

    def run(self):
        """The faults that were found."""
        return asyncio.run(self.run_all())

    async def run_all(self):
        await self.service.start()
        try:
            await self.make_tables()
            begun = [deltalake.DeltaTable(table).version() for table in self.tables]
            until = time.monotonic() + self.seconds
            tasks = [asyncio.create_task(client.run(until)) for client in self.clients]
            for _ in range(self.kills):
                await asyncio.sleep(self.seconds / (self.kills + 1))
                await self.service.kill()
            done, pending = await asyncio.wait(tasks, timeout=self.seconds + 120)
            faults = [f"client {number}: {task.exception()!r}" for number, task in enumerate(tasks) if task in done and task.exception()]
            faults += [f"client {number} does not end" for number, task in enumerate(tasks) if task in pending]
            for task in pending:
                task.cancel()
        finally:
            await self.service.stop()
        return faults + self.differences(begun)

    async def make_tables(self):
        ids = range(LOOKUP_ROWS)
        pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "name": [f"name-{i}" for i in ids]}), self.lookup)
        for table in self.tables:
            mine = [client.number for client in self.clients if client.table == table]
            await self.service.client.sql(f"CREATE TABLE delta.`{table}` (client INT, k INT, n BIGINT) USING delta PARTITIONED BY (client)")
            some = f"(SELECT explode(array({', '.join(map(str, mine))})) AS client)"
            await self.service.client.sql(f"INSERT INTO delta.`{table}` SELECT client, CAST(id AS INT), 0L FROM {some} CROSS JOIN range({ROWS_AT_FIRST})")

    def differences(self, begun):
        """What is otherwise than the clients know it, as another program reads the tables."""
        faults = []
        for path, first in zip(self.tables, begun):
            table, mine = deltalake.DeltaTable(path), [client for client in self.clients if client.table == path]
            found = sorted(tuple(row.values()) for row in table.to_pyarrow_table(columns=["client", "k", "n"]).to_pylist())
            known = sorted((client.number, key, n) for client in mine for key, n in client.rows.items())
            if found != known:
                faults.append(f"{path} has {sorted(set(found) ^ set(known))[:10]} and not as often as it should")
            versions = sorted(version for client in mine for version in client.versions)
            if len(set(versions)) != len(versions):
                faults.append(f"{path}: two changes are one version")
            # Each change is one version, and there is no other.
            changes = sum(client.changes_of_table for client in mine)
            if table.version() - first != changes:
                faults.append(f"{path} has {table.version() - first} versions of {changes} changes")
        return faults
