"""Hudi tables on HDFS and on S3, which Firesteel and real Spark with Hudi's own writer change in turns.

Spark with Hudi writes to HDFS itself. It has no client of S3 here: it gets the files of a table, and what it has changed of
them is sent back."""
import itertools
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import hdfs, hudi, servers, stores
from support.hdfs import cluster, firesteel  # noqa: F401 - fixtures
from support.hudi import DATA, check_alike, here, instants_of, options_of, query, rows, timeline
from support.outcome import outcome_of
from test_hudi_sql import STATEMENTS, same_statements
from test_hudi_writes import LOGS, MERGED
from test_s3 import BUCKET, configure, settings


class OnHdfs:
    """Tables on HDFS. `there(path)` is where Spark with Hudi has a table, `back` brings what it has written."""

    def __init__(self, cluster, folder):
        self.cluster = cluster

    def path(self):
        return f"{hdfs.ROOT}/{uuid.uuid4().hex}/table"

    def configure(self, session):
        return session

    def names(self, path):
        """The files below a path."""
        return self.cluster.names(path)

    def there(self, path):
        return path

    def back(self, path, there):
        pass


class OnS3:
    """Tables on S3."""

    def __init__(self, store, folder):
        self.store, self.folder, self.copies = store, folder, itertools.count()

    def path(self):
        return f"s3a://{BUCKET}/{uuid.uuid4().hex}/table"

    def configure(self, session):
        configure(session, settings(self.store.endpoint))
        return session

    def names(self, path):
        """Those that are directories too, which say that they are ones."""
        prefix = path.removeprefix(f"s3a://{BUCKET}/") + "/"
        return self.store.keys(BUCKET, prefix)

    def there(self, path):
        copy = self.folder / str(next(self.copies))
        prefix = path.removeprefix(f"s3a://{BUCKET}/")
        for key in self.names(path):
            file = copy / key.removeprefix(prefix).lstrip("/")
            (file if key.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
            if not key.endswith("/"):
                self.store.client.download_file(BUCKET, key, str(file))
        return f"file:{copy}"

    def back(self, path, there):
        copy, prefix = self.folder / there.rsplit("/", 1)[1], path.removeprefix(f"s3a://{BUCKET}/")
        # Hadoop's sums of local files are not part of the table.
        files = {file for file in copy.rglob("*") if file.is_file() and not file.name.endswith(".crc")}
        kept = {f"{prefix}/{file.relative_to(copy)}": file for file in files}
        for key in self.names(path):
            if key not in kept and not key.endswith("/"):
                self.store.client.delete_object(Bucket=BUCKET, Key=key)
        for key, file in kept.items():
            self.store.client.upload_file(str(file), BUCKET, key)


@pytest.fixture(scope="module")
def store():
    store = stores.Store()
    store.client.create_bucket(Bucket=BUCKET)
    yield store
    store.close()


@pytest.fixture(scope="module")
def hudi_spark(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hudi-session")
    conf = str(cluster.write_configuration(folder / "conf"))
    session = hudi.Session(folder / "log", HADOOP_CONF_DIR=conf, HADOOP_USER_NAME=hdfs.USER)
    yield session
    session.close()


@pytest.fixture(params=["hdfs", "s3"])
def place(request, tmp_path):
    if request.param == "hdfs":
        return OnHdfs(request.getfixturevalue("cluster"), tmp_path)
    return OnS3(request.getfixturevalue("store"), tmp_path)


@pytest.fixture
def ours(spark, place):
    return place.configure(spark)


def done_of(place, path, version):
    """The instants of the writes that are complete."""
    folder = f"/table/{timeline(version)}/"
    return instants_of([name.rsplit("/", 1)[1] for name in place.names(path) if folder in name and name.rsplit("/", 1)[0].endswith(folder[:-1])])


@pytest.mark.parametrize("version, kind", [(6, {}), (8, {}), (6, MERGED), (8, MERGED)])
def test_writes_in_turns(version, kind, place, ours, hudi_spark, tmp_path):
    path, twin = place.path(), f"file:{tmp_path}/twin"
    writes = [
        (query(0, 12, "a", 5), "insert", True),
        (query(4, 16, "b", "CASE WHEN id % 3 = 0 THEN 4 ELSE 6 END"), "upsert", True),
        (query(8, 20, "c", 7), "upsert", False),
        (query(2, 5, "a", 9), "delete", True),
        (query(9, 11, "a", 8), "delete", False),
        (query(30, 33, "o", 8, "'p1'"), "insert_overwrite", True),
        (query(30, 36, "o", 9), "upsert", True),
    ]
    for text, operation, is_here in writes:
        options = options_of(version, operation, **kind)
        if is_here:
            here(ours, text, path, options)
        else:
            there = place.there(path)
            hudi_spark.write(text, there, options | LOGS)
            place.back(path, there)
        hudi_spark.write(text, twin, options | LOGS)
        assert rows(ours, path, DATA) == hudi_spark.rows(twin, DATA) != [], operation
    done = done_of(place, path, version)
    assert len(done) == len(writes)
    check_alike(ours, hudi_spark, path, version, place.there(path), done)
    assert any(".log." in name for name in place.names(path)) == bool(kind)


def test_statements(place, ours, hudi_spark, tmp_path):
    """A table of the catalog: the same statements make the same rows as in Spark, on every state."""
    kind = type(place).__name__.lower()
    path = place.path()
    same_statements(ours, hudi_spark, kind, path, f"file:{tmp_path}/twin", "PARTITIONED BY (part)")
    done = done_of(place, path, 8)
    # A statement that finds no row makes a write, or none.
    assert len(done) >= len(STATEMENTS) - 1
    there = place.there(path)
    for begun, _ in (done[0], done[3], done[-1]):
        stamp = f"{begun[:4]}-{begun[4:6]}-{begun[6:8]} {begun[8:10]}:{begun[10:12]}:{begun[12:14]}.{begun[14:]}"
        found = ours.sql(f"SELECT to_json(struct(*)) FROM ours_{kind} TIMESTAMP AS OF '{stamp}'").collect()
        assert sorted(row[0] for row in found) == hudi_spark.rows(there, **{"as.of.instant": begun}) != [], begun
    ours.sql(f"DROP TABLE ours_{kind}")


def test_writers_at_once(place, ours, firesteel):
    """Writers in one server wait for each other: no row is lost."""
    path, options = place.path(), options_of(8)
    here(ours, "SELECT 0L AS id, -1L AS ts, 'p' AS part, 0 AS writer", path, options)

    def write(writer):
        session = place.configure(servers.connect(firesteel))
        for step in range(3):
            here(session, f"SELECT id, {writer * 10 + step}L AS ts, 'p' AS part, {writer} AS writer FROM range({writer * 5}, {writer * 5 + 10})", path, options)
        session.stop()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    found = ours.read.format("hudi").load(path).collect()
    assert sorted(row.id for row in found) == list(range(20))
    assert all(row.ts % 10 == 2 and row.writer == min(row.id // 5, 2) for row in found)
    assert len(done_of(place, path, 8)) == 10


def test_a_write_that_fails_leaves_nothing(place, ours):
    path, options = place.path(), options_of(8)
    failing = "SELECT id, 'x' AS name, 9L AS ts, concat('p', id % 2, raise_error('stop')) AS part FROM range(5)"
    late = "SELECT id, IF(id = 299999, raise_error('stop'), uuid()) AS name, 9L AS ts, concat('p', id % 2) AS part FROM range(300000)"
    assert outcome_of(lambda: here(ours, late, path, options)).condition == "USER_RAISED_EXCEPTION"
    assert [name for name in place.names(path) if name.endswith((".parquet", ".properties"))] == []
    here(ours, "SELECT id, 'a' AS name, 1L AS ts, concat('p', id % 2) AS part FROM range(10)", path, options)
    before = place.names(path)
    for text in (failing, late):
        assert outcome_of(lambda text=text: here(ours, text, path, options)).condition == "USER_RAISED_EXCEPTION"
        assert place.names(path) == before
    assert ours.read.format("hudi").load(path).count() == 10


@pytest.mark.parametrize("kind", [{}, MERGED])
def test_killed_writer(kind, place, ours, cluster, hudi_spark, tmp_path):
    """A server that is killed while it writes leaves the table as it was, and the next writer goes on."""
    path, options = place.path(), options_of(8, **kind)
    here(ours, "SELECT id, 'a' AS name, 1L AS ts, concat('p', id % 4) AS part, '' AS filler FROM range(1000)", path, options)
    before = rows(ours, path)
    big = "SELECT id, 'k' AS name, 5L AS ts, concat('p', id % 4) AS part, uuid() AS filler FROM range(2000000)"
    server = cluster.start_firesteel(tmp_path / "conf")
    try:
        session = place.configure(servers.connect(server.remote))
        writer = threading.Thread(target=lambda: outcome_of(lambda: here(session, big, path, options)), daemon=True)
        writer.start()
        deadline = time.monotonic() + 60
        while not any(".marker." in name for name in place.names(path)) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        server.process.kill()
        server.process.wait()
        server.close()
    assert len(done_of(place, path, 8)) == 1, "the write was complete before its server was killed"
    assert rows(ours, path) == before == hudi_spark.rows(place.there(path))
    here(ours, "SELECT 1L AS id, 'later' AS name, 9L AS ts, 'p1' AS part, '' AS filler", path, options)
    done = done_of(place, path, 8)
    found = check_alike(ours, hudi_spark, path, 8, place.there(path), done)
    assert len(found) == len(before) == 1000 and sum('"later"' in row for row in found) == 1
    left = place.names(path)
    assert not any(".marker." in name for name in left)
    known = {begun for begun, _ in done}
    assert {name.rsplit("_", 1)[1].split(".")[0] for name in left if name.endswith(".parquet")} <= known
    assert any(".log." in name for name in left) == bool(kind)
    assert {name.rsplit("/", 1)[1].split(".")[0].split("_")[0] for name in left if name.endswith((".inflight", ".requested"))} <= known


# S3 alone: what was asked for may have come although no answer did.


@pytest.fixture
def proxy(store):
    proxy = stores.Proxy(store)
    yield proxy
    proxy.close()


def is_completion(request):
    """The entry that makes a write count."""
    return request.method == "PUT" and "/timeline/" in request.path and request.path.split("?")[0].endswith("commit") and "_" in request.path.rsplit("/", 1)[1]


def test_lost_answers(spark, store, proxy, tmp_path):
    place = OnS3(store, tmp_path)
    path, options = place.path(), options_of(8)
    configure(spark, settings(proxy.endpoint))
    rows_of = "SELECT id, '{}' AS name, {}L AS ts, 'p' AS part FROM range({})"
    here(spark, rows_of.format("a", 1, 3), path, options)
    lost = []

    def lose(request):
        if is_completion(request):
            lost.append(request.path)
            return 500, "InternalError"

    # The store has it, and says that it failed: the write is complete, once.
    proxy.lose = lose
    here(spark, rows_of.format("b", 2, 5), path, options)
    assert lost and len(done_of(place, path, 8)) == 2
    assert sorted(row.name for row in spark.read.format("hudi").load(path).collect()) == ["b"] * 5
    files = lambda: [name for name in place.names(path) if name.endswith(".parquet")]  # noqa: E731
    before = len(files())
    # The store does not take it, as far as is known: an error that says so, and the files stay.
    proxy.lose, proxy.answer = lambda request: None, lambda request: (500, "InternalError") if is_completion(request) else None
    failed = outcome_of(lambda: here(spark, rows_of.format("c", 3, 7), path, options))
    assert "is complete is not known" in failed.text, failed
    assert len(files()) > before
    assert sorted(row.name for row in spark.read.format("hudi").load(path).collect()) == ["b"] * 5
    # It is a write under way to all others, until somebody says that it is not.
    proxy.answer = lambda request: None
    assert "is under way" in outcome_of(lambda: here(spark, rows_of.format("d", 4, 7), path, options)).text
    here(spark, rows_of.format("d", 4, 7), path, options | {"hoodie.cleaner.policy.failed.writes": "EAGER"})
    assert sorted(row.name for row in spark.read.format("hudi").load(path).collect()) == ["d"] * 7
    assert len(done_of(place, path, 8)) == 3


def test_a_request_that_was_taken_twice(spark, store, proxy, tmp_path):
    """Where the answer to the first entry of a write is lost, the write goes on, and nothing of it stands in the way of the next."""
    place = OnS3(store, tmp_path)
    path, options = place.path(), options_of(8)
    configure(spark, settings(proxy.endpoint))
    rows_of = "SELECT id, '{}' AS name, {}L AS ts, 'p' AS part FROM range({})"
    here(spark, rows_of.format("a", 1, 3), path, options)
    lost = []

    def lose(request):
        if request.method == "PUT" and request.path.split("?")[0].endswith(".requested") and not lost:
            lost.append(request.path)
            return 500, "InternalError"

    proxy.lose = lose
    here(spark, rows_of.format("b", 2, 5), path, options)
    assert lost
    here(spark, rows_of.format("c", 3, 5), path, options)
    assert sorted(row.name for row in spark.read.format("hudi").load(path).collect()) == ["c"] * 5
    assert len(done_of(place, path, 8)) == 3
