"""Writers of one Delta table, some of whose servers are killed, against a model of what the table must hold.

Every writer changes rows of its own only, and knows what each of its statements makes of them. A statement that fails, or whose
server is killed, has happened whole or not at all: which of the two is read from the table. Anything else is a fault.
"""
import random
import threading
import time

from pyspark.errors import PySparkException
from pyspark.sql.connect.client.retries import DefaultPolicy

from . import servers

CONFLICTS = ("DELTA_CONCURRENT", "DELTA_METADATA_CHANGED")


class Writer(threading.Thread):
    def __init__(self, number, home, path, stop, random_seed):
        super().__init__(name=f"writer-{number}")
        self.number, self.home, self.path, self.stop_at = number, home, path, stop
        self.random = random.Random(random_seed)
        self.model = {}
        self.done = {"append": 0, "update": 0, "delete": 0, "merge": 0, "optimize": 0}
        self.conflicts = self.interrupted = self.next_key = 0
        self.fault = None

    def run(self):
        try:
            while time.monotonic() < self.stop_at:
                self.step()
        except Exception as error:  # noqa: BLE001 - reported by the main thread
            self.fault = f"{self.name}: {type(error).__name__}: {error}"[:2000]

    def step(self):
        kind, statement, after = getattr(self, "make_" + self.random.choice(list(self.done)))()
        try:
            self.home.session().sql(statement).collect()
        except PySparkException as error:
            condition = error.getCondition() or ""
            if condition.startswith(CONFLICTS):
                self.conflicts += 1
            elif not self.home.was_killed(error):
                raise
            else:
                self.interrupted += 1
            self.settle(after)
            return
        except Exception:  # noqa: BLE001 - a broken connection has many names
            self.interrupted += 1
            self.settle(after)
            return
        self.done[kind] += 1
        self.model = after

    def settle(self, after):
        """Whether the statement happened."""
        found = self.read()
        if found == after:
            self.model = after
        elif found != self.model:
            missing, extra = self.model.items() - found.items(), found.items() - self.model.items()
            raise AssertionError(f"half a statement: missing {sorted(missing)[:5]}, extra {sorted(extra)[:5]}")

    def read(self):
        while True:
            try:
                query = f"SELECT k, v FROM delta.`{self.path}` WHERE w = {self.number}"
                rows = [tuple(row) for row in self.home.session().sql(query).collect()]
            except Exception as error:  # noqa: BLE001
                if not self.home.was_killed(error):
                    raise
                continue
            if len({k for k, _ in rows}) != len(rows):
                raise AssertionError(f"duplicated rows: {sorted(rows)[:20]}")
            return dict(rows)

    def make_append(self):
        keys = range(self.next_key, self.next_key + self.random.randint(1, 40))
        self.next_key = keys.stop
        values = {k: self.random.randrange(1000) for k in keys}
        rows = ", ".join(f"({self.number}, {k}, {v})" for k, v in values.items())
        return "append", f"INSERT INTO delta.`{self.path}` VALUES {rows}", {**self.model, **values}

    def part(self):
        return self.random.randrange(5)

    def make_update(self):
        part = self.part()
        after = {k: v + 1 if k % 5 == part else v for k, v in self.model.items()}
        return "update", f"UPDATE delta.`{self.path}` SET v = v + 1 WHERE w = {self.number} AND k % 5 = {part}", after

    def make_delete(self):
        part = self.random.randrange(50)
        after = {k: v for k, v in self.model.items() if k % 50 != part}
        return "delete", f"DELETE FROM delta.`{self.path}` WHERE w = {self.number} AND k % 50 = {part}", after

    def make_merge(self):
        old = self.random.sample(sorted(self.model), min(5, len(self.model)))
        new = [self.next_key, self.next_key + 1]
        self.next_key += 2
        values = {k: self.random.randrange(1000) for k in [*old, *new]}
        rows = " UNION ALL ".join(f"SELECT {self.number} AS w, {k}L AS k, {v}L AS v" for k, v in values.items())
        statement = f"""MERGE INTO delta.`{self.path}` t USING ({rows}) s ON t.w = s.w AND t.k = s.k
                        WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"""
        return "merge", statement, {**self.model, **values}

    def make_optimize(self):
        if self.random.random() < 0.7:
            return self.make_append()
        return "optimize", f"OPTIMIZE delta.`{self.path}`", self.model


class Home:
    """A server that may be killed, and is then started again."""

    def __init__(self):
        self.lock = threading.Lock()
        self.local = threading.local()
        self.server = servers.start_firesteel()
        self.kills = 0

    def session(self):
        with self.lock:
            server, kills = self.server, self.kills
        if getattr(self.local, "kills", None) != kills:
            self.local.session, self.local.kills = servers.connect(server.remote), kills
            # The client would ask a server that is gone for ten minutes.
            self.local.session.client.set_retry_policies([DefaultPolicy(max_retries=2, max_backoff=200)])
        return self.local.session

    def was_killed(self, error):
        """Whether an error is one of a connection that broke."""
        with self.lock:
            if self.kills != getattr(self.local, "kills", None):
                return True
        text = str(error)
        return any(word in text for word in ("UNAVAILABLE", "Connection", "Socket closed", "recvmsg", "SESSION", "HANDLE"))

    def kill(self):
        with self.lock:
            self.server.process.kill()
            self.server.process.wait()
            self.server.close()
            self.server = servers.start_firesteel()
            self.kills += 1

    def close(self):
        self.server.close()


def run(path, seconds, writers=8, homes=2, kill_every=5.0, seed=0):
    """Rows lost or duplicated raise; returns what was done."""
    places = [Home() for _ in range(homes)]
    try:
        places[0].session().sql(f"CREATE TABLE delta.`{path}` (w INT, k LONG, v LONG) USING delta").collect()
        stop = time.monotonic() + seconds
        threads = [Writer(n, places[n % homes], path, stop, seed * 1000 + n) for n in range(writers)]
        for thread in threads:
            thread.start()
        chosen = random.Random(seed)
        while any(thread.is_alive() for thread in threads):
            time.sleep(min(kill_every, 0.5) if time.monotonic() > stop else kill_every)
            if time.monotonic() < stop:
                chosen.choice(places).kill()
        for thread in threads:
            thread.join()
        faults = [thread.fault for thread in threads if thread.fault]
        if faults:
            raise AssertionError("\n".join(faults))
        rows = places[0].session().sql(f"SELECT w, k, v FROM delta.`{path}`").collect()
        found = sorted(tuple(row) for row in rows)
        wanted = sorted((t.number, k, v) for t in threads for k, v in t.model.items())
        if found != wanted:
            raise AssertionError(f"lost {sorted(set(wanted) - set(found))[:9]}, extra {sorted(set(found) - set(wanted))[:9]}")
        return {
            "statements": {kind: sum(t.done[kind] for t in threads) for kind in threads[0].done},
            "conflicts": sum(t.conflicts for t in threads),
            "interrupted": sum(t.interrupted for t in threads),
            "kills": sum(place.kills for place in places),
            "rows": len(found),
            "faults": 0,
        }
    finally:
        for place in places:
            place.close()
