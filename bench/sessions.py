"""Many sessions at once: queries with answers to check, a third of them interrupted on the way.

    python bench/sessions.py --binary target/debug/firesteel --sessions 32 --seconds 60

Starts the server, and stops it at the end. Every session runs one query after the other on a thread of its own; a random
third is interrupted after a random time, by operation id, tag or all at once. Prints the operations, the errors that no
interrupt explains, the sessions that no longer answer, and the server's memory before, at its peak and after: all that is
resident, and the part of it that is data (the rest is the program's own code, which comes in as it is first used).
"""
import argparse
import collections
import logging
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support import servers  # noqa: E402

INTERRUPTED_SHARE = 1 / 3
INTERRUPT_AFTER_SECONDS = 0.4
CANCELLED = "OPERATION_CANCELED"
# Threads of the server that have no work end after ten seconds, and footers that nobody asks for go after a minute.
IDLE_SECONDS = 75


def total_of_range(session, chance):
    rows = chance.randrange(1_000, 3_000_000)
    return session.range(rows).selectExpr("sum(id)").collect()[0][0] == rows * (rows - 1) // 2


def groups(session, chance):
    keys = chance.randrange(1, 1000)
    return session.range(200_000).selectExpr(f"id % {keys} AS k").groupBy("k").count().count() == keys


def join_and_sort(session, chance):
    rows = chance.randrange(10, 50_000)
    left = session.range(rows).selectExpr("id AS a", "id * 2 AS b")
    right = session.range(0, rows, 2).selectExpr("id AS a", "'x' AS c")
    return len(left.join(right, "a").orderBy("b").limit(5).collect()) == 5


def files(session, chance):
    rows = chance.randrange(1, 20_000)
    # A write that was interrupted may still be removing its files.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = f"{folder}/data"
        session.range(rows).selectExpr("id", "id % 7 AS p").write.partitionBy("p").parquet(path)
        return session.read.parquet(path).count() == rows


def many_rows(session, chance):
    rows = chance.randrange(1, 200_000)
    return session.range(rows).selectExpr("id", "cast(id AS string) AS s").toArrow().num_rows == rows


def failure(session, chance):
    """An error of the query, which must come as itself."""
    try:
        session.sql("SELECT 1 / (id - 500) FROM range(1000)").collect()
    except Exception as error:
        return "DIVIDE_BY_ZERO" in str(error) or CANCELLED in str(error)
    return False


WORK = [total_of_range, groups, join_and_sort, files, many_rows, failure]


class Load:
    def __init__(self, remote, until):
        self.remote = remote
        self.until = until
        self.counts = collections.Counter()
        self.errors = collections.Counter()
        self.lock = threading.Lock()

    def note(self, kind, error=None):
        with self.lock:
            self.counts[kind] += 1
            if error:
                self.errors[error] += 1

    def run(self, number):
        chance = random.Random(number)
        session = servers.connect(self.remote)
        while time.monotonic() < self.until:
            work = chance.choice(WORK)
            interrupts = chance.random() < INTERRUPTED_SHARE
            timer = None
            if interrupts:
                tag = f"t{number}"
                session.addTag(tag)
                interrupt = chance.choice([session.interruptAll, lambda: session.interruptTag(tag)])
                timer = threading.Timer(chance.random() * INTERRUPT_AFTER_SECONDS, self.interrupt, [interrupt])
                timer.start()
            try:
                kind = "right" if work(session, chance) else "wrong"
                self.note(kind, f"a wrong answer of {work.__name__}" if kind == "wrong" else None)
            except Exception as error:
                text = str(error)
                if interrupts and CANCELLED in text:
                    self.note("interrupted")
                else:
                    self.note("failed", f"{work.__name__}: {type(error).__name__}: {text.splitlines()[0][:160]}")
            finally:
                if timer:
                    timer.join()
                    session.clearTags()
        try:
            answers = session.range(10).count() == 10
        except Exception as error:
            self.note("dead", f"a session is dead: {str(error)[:160]}")
        else:
            self.note("alive" if answers else "dead")
        session.stop()

    def interrupt(self, interrupt):
        try:
            interrupt()
        except Exception as error:
            self.note("failed", f"interrupt: {type(error).__name__}: {str(error).splitlines()[0][:160]}")


def megabytes(count):
    return f"{count / 2**20:.0f} MB"


def memory(server):
    return f"{megabytes(server.memory_bytes())} ({megabytes(server.memory_bytes('RssAnon'))} data)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", help="the server; without it, as `make build` leaves it")
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    # The client logs every error; those that are wanted would drown the rest.
    logging.disable(logging.CRITICAL)
    if arguments.binary:
        os.environ["FIRESTEEL_BINARY"] = str(pathlib.Path(arguments.binary).resolve())
    server = servers.start_firesteel()
    try:
        warm = servers.connect(server.remote)
        warm.range(1000).count()
        before = memory(server)
        load = Load(server.remote, time.monotonic() + arguments.seconds)
        threads = [threading.Thread(target=load.run, args=[number]) for number in range(arguments.sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        started = time.monotonic()
        warm.range(1000).count()
        latency = time.monotonic() - started
        time.sleep(IDLE_SECONDS)
        print(f"{arguments.sessions} sessions, {arguments.seconds:.0f} s: {dict(load.counts)}")
        print(
            f"memory: {before} before, {megabytes(server.memory_bytes('VmHWM'))} at its peak,"
            f" {memory(server)} after; a query afterwards took {latency * 1000:.0f} ms"
        )
        for error, count in load.errors.most_common(20):
            print(f"  {count:5} {error}")
        bad = load.counts["failed"] + load.counts["wrong"] + load.counts["dead"]
        return 1 if bad else 0
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
