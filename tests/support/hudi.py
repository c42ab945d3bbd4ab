"""Tables that Hudi's own writer makes, on a Spark that it runs with."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from . import clients
from .jars import fetched

SPARK, VERSION = "3.5", "1.0.2"
PROGRAMS = pathlib.Path(__file__).parent.parent / "clients"
VERSIONS = [6, 8]
# All types that Hudi takes, NULLs among them. (It writes no NULL in arrays, by default.)
TYPES = """
    CAST(id AS INT) AS i, CAST(id * 1.5 AS FLOAT) AS f, id / 8 AS d, id % 3 = 0 AS flag,
    CAST(id / 4 AS DECIMAL(9, 2)) AS price, CAST(id * 1000000007 AS DECIMAL(18, 0)) AS wide,
    CAST(id AS DECIMAL(38, 10)) - 0.5BD AS wider, DATE'2024-02-28' + CAST(id AS INT) AS day,
    TIMESTAMP'2024-02-28 23:59:59.123456' + make_dt_interval(CAST(id AS INT)) AS at, CAST(concat('b', id) AS BINARY) AS bytes,
    array(concat('t', id), 'z') AS tags, map('k', CASE WHEN id % 2 = 0 THEN id END) AS scores,
    named_struct('a', id, 'b', named_struct('c', CAST(id AS DECIMAL(10, 3)), 'd', array(id))) AS inner,
    array(named_struct('x', id, 'y', concat('y', id))) AS items,
    CASE WHEN id % 2 = 0 THEN concat('ü', id) END AS maybe
"""


def query(first, end, name, ts, part="concat('p', id % 2)"):
    return f"SELECT id, concat('{name}', id) AS name, CAST({ts} AS BIGINT) AS ts, {TYPES}, {part} AS part FROM range({first}, {end})"


def options_of(version, operation=None, **more):
    options = {
        "hoodie.table.name": "t",
        "hoodie.write.table.version": str(version),
        "hoodie.datasource.write.recordkey.field": "id",
        "hoodie.datasource.write.precombine.field": "ts",
        "hoodie.datasource.write.partitionpath.field": "part",
        **more,
    }
    return options | ({"hoodie.datasource.write.operation": operation} if operation else {})


PLAIN = {"hoodie.metadata.enable": "false"}
DATA = "id, name, ts, i, f, d, flag, price, wide, wider, day, at, bytes, tags, scores, inner, items, maybe, part"


def bundle():
    """Hudi for Spark."""
    return fetched("org.apache.hudi", f"hudi-spark{SPARK}-bundle_2.12", VERSION)


def _environment(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    return kept | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost", "TZ": "UTC"} | more


class Session:
    """Spark with Hudi, which writes and reads tables as a test asks it to."""

    def __init__(self, log, **environment):
        if not clients.runs_here(SPARK):
            pytest.skip(f"pyspark {SPARK} does not run on this Python")
        command = [clients.environment(SPARK), PROGRAMS / "hudi_session.py", bundle()]
        self.log = pathlib.Path(log)
        with open(self.log, "wb") as output:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=output, text=True, env=_environment(**environment), start_new_session=True
            )
        self._answer()

    def _answer(self):
        # Log lines may come in between.
        for line in self.process.stdout:
            if line.startswith("{"):
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["answer"]
        raise RuntimeError(self.log.read_text(errors="replace")[-3000:])

    def _ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def write(self, query, path, options, mode="append"):
        self._ask(do="write", query=query, path=str(path), options=options, mode=mode)

    def rows(self, path, columns="*", **options):
        return self._ask(do="rows", path=str(path), options=options, columns=columns)["rows"]

    def schema(self, path):
        return self._ask(do="rows", path=str(path), options={}, columns="*")["schema"]

    def sql(self, statement):
        return self._ask(do="sql", statement=statement)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def write_tables(folder, kind="tables"):
    """Tables below `folder`; by name: path, instants, and what Spark read of each. `kind`: of the program that writes them."""
    if not clients.runs_here(SPARK):
        pytest.skip(f"pyspark {SPARK} does not run on this Python")
    command = [clients.environment(SPARK), PROGRAMS / f"hudi_{kind}.py", bundle(), folder]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=_environment())
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads((pathlib.Path(folder) / f"{kind}.json").read_text())


def copy_of(table, folder):
    """A table to change by hand: without the checksums that Hadoop keeps beside files."""
    return pathlib.Path(shutil.copytree(table, folder, ignore=shutil.ignore_patterns("*.crc")))


def here(spark, text, path, options, mode="append"):
    spark.sql(text).write.format("hudi").options(**options).mode(mode).save(str(path))


def rows(spark, path, columns="*", **options):
    frame = spark.read.format("hudi").options(**options).load(str(path))
    return sorted(row[0] for row in frame.selectExpr(f"to_json(struct({columns}))").collect())


def timeline(version):
    """Where a table has its timeline."""
    return ".hoodie/timeline" if version >= 8 else ".hoodie"


def instants(path, version):
    """Of the writes that are complete: when they began, and when they ended."""
    return instants_of(os.listdir(pathlib.Path(path) / timeline(version)))


def instants_of(names):
    """The same of a timeline's files."""
    done = [name for name in names if name.rsplit(".", 1)[-1] in ("commit", "deltacommit", "replacecommit") and not name.startswith(".")]
    stems = sorted(name.split(".")[0].split("_") for name in done)
    return [(stem[0], stem[-1]) for stem in stems]


def check_alike(spark, hudi_spark, path, version, there=None, done=None, since=(0, -1)):
    """All states and changes, with Hudi's own columns: what both read of one table. `there`: where Spark with Hudi has it;
    `done`: the instants, where it is not local; `since`: those of them from which on changes are read."""
    found, there = rows(spark, path), there or path
    assert found == hudi_spark.rows(there)
    done = done or instants(path, version)
    for begun, _ in done:
        assert rows(spark, path, **{"as.of.instant": begun}) == hudi_spark.rows(there, **{"as.of.instant": begun}), begun
    for _, ended in (done[place] for place in since):
        changes = {"hoodie.datasource.query.type": "incremental", "hoodie.datasource.read.begin.instanttime": ended}
        assert rows(spark, path, **changes) == hudi_spark.rows(there, **changes), ended
    return found
