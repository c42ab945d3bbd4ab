"""PostgreSQL over TLS alone, and one that wants certificates of its clients: the service's store of jobs, and Iceberg's SQL
catalog, beside real Spark."""
import subprocess
import uuid

import pytest
from cryptography import x509
from support import iceberg, servers
from support.postgres import Postgres
from support.rest import Api
from support.tls import Authority
from test_iceberg import fails, rows
from test_iceberg_postgres import configured

# What is asked of a certificate, and what is said where it is not so
UNKNOWN = "UnknownIssuer"
OTHER_NAME = "not valid for name"


class Servers:
    """A server whose certificate is good, one that is elsewhere by its certificate, and who signs for both."""

    def __init__(self, folder, other):
        self.authority, self.other = Authority(folder), Authority(other, "another authority")
        self.good = Postgres(*self.authority.issue("good"))
        self.elsewhere = Postgres(*self.authority.issue("elsewhere", [x509.DNSName("db.example.com")]))

    def cases(self):
        """The server, the settings, and what the refusal says; `None`: it is let in."""
        root, other = (f"&sslrootcert={authority.file}" for authority in (self.authority, self.other))
        return [
            (self.good, "sslmode=require", None),
            (self.good, "sslmode=prefer", None),
            (self.good, f"sslmode=verify-full{root}", None),
            (self.good, f"sslmode=verify-ca{root}", None),
            (self.elsewhere, f"sslmode=verify-ca{root}", None),
            (self.elsewhere, f"sslmode=verify-full{root}", OTHER_NAME),
            (self.good, f"sslmode=verify-full{other}", UNKNOWN),
            (self.good, f"sslmode=verify-ca{other}", UNKNOWN),
            # The roots of the machine do not know the test's authority.
            (self.good, "sslmode=verify-full", UNKNOWN),
            (self.good, f"sslmode=verify-full{root}.none", f"{self.authority.file}.none"),
            (self.good, "sslmode=disable", "no encryption"),
        ]


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    found = Servers(tmp_path_factory.mktemp("authority"), tmp_path_factory.mktemp("other"))
    yield found
    found.good.close()
    found.elsewhere.close()


class Clients:
    """A server that asks for certificates, and certificates that it takes and does not take."""

    def __init__(self, folder, other):
        authority, stranger = Authority(folder), Authority(other, "another authority")
        self.root = f"sslmode=verify-full&sslrootcert={authority.file}"
        self.own, self.key = authority.issue(Postgres.user)
        self.somebody, self.somebodys = authority.issue("somebody")
        self.strange, self.strangers = stranger.issue(Postgres.user)
        self.server = Postgres(*authority.issue("server"), authority.file, (self.own, self.key))

    def cases(self):
        """The settings, and what the refusal says; `None`: it is let in."""
        own, key, root = f"sslcert={self.own}", self.key, self.root
        return [
            (f"{root}&{own}&sslkey={key}", None),
            (f"sslmode=require&{own}&sslkey={key}", None),
            (f"{root}&{own}&sslkey={key.with_suffix('.pk8')}", None),
            (root, "valid client certificate"),
            (f"{root}&sslcert={self.strange}&sslkey={self.strangers}", "UnknownCA"),
            (f"{root}&sslcert={self.somebody}&sslkey={self.somebodys}", "authentication failed"),
            (f"{root}&sslcert={self.somebody}&sslkey={key}", "KeyMismatch"),
            (f"{root}&{own}", "sslcert needs sslkey"),
            (f"{root}&sslkey={key}", "sslkey needs sslcert"),
            (f"{root}&sslcert={self.own}.none&sslkey={key}", f"the client certificate {self.own}.none cannot be read"),
            (f"{root}&{own}&sslkey={key}.none", f"the client key {key}.none cannot be read"),
            (f"{root}&{own}&sslkey={key.with_suffix('.locked')}", "has a password"),
            (f"{root}&{own}&sslkey={self.own}", "neither PEM nor PKCS-8"),
        ]


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    found = Clients(tmp_path_factory.mktemp("clients"), tmp_path_factory.mktemp("strangers"))
    yield found
    found.server.close()


def connections(server, application):
    """Whether the connections of a program are encrypted."""
    sql = f"SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = '{application}'"
    return {row[0] for row in server.run(sql)}


def test_store_of_jobs(databases):
    for server, settings, refusal in databases.cases():
        url = f"{server.url(server.create_database(f'jobs_{uuid.uuid4().hex}'))}?{settings}"
        done = token_of(url)
        if refusal is None:
            assert done.returncode == 0 and done.stdout.strip(), (settings, done.stderr)
        else:
            assert done.returncode != 0 and refusal in done.stderr and server.password not in done.stderr, (settings, done.stderr)


def token_of(url):
    command = [str(servers.binary()), "token", "create", "--job-store", url, "--user", "somebody"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_certificates_of_clients_of_the_store_of_jobs(clients):
    server = clients.server
    for settings, refusal in clients.cases():
        done = token_of(f"{server.url(server.create_database(f'jobs_{uuid.uuid4().hex}'))}?{settings}")
        if refusal is None:
            assert done.returncode == 0 and done.stdout.strip(), (settings, done.stderr)
        else:
            assert done.returncode != 0 and refusal in done.stderr and server.password not in done.stderr, (settings, done.stderr)
    # The certificate says who it is: there is no password.
    database = server.create_database("cert_jobs")
    url = f"postgresql://{server.user}@127.0.0.1:{server.port}/{database}?{clients.root}&sslcert={clients.own}&sslkey={clients.key}"
    done = token_of(url)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


def test_certificates_of_clients_of_the_iceberg_catalog(clients, spark, tmp_path):
    server = clients.server
    for number, (settings, refusal) in enumerate(clients.cases()):
        # Of the first no password is asked.
        database = server.create_database(f"lake_{uuid.uuid4().hex}" if number else "cert_lake")
        name = f"mine{number}"
        configured(spark, iceberg.postgres_catalog(name, tmp_path, server, database))
        if number % 2:
            spark.conf.set(f"spark.sql.catalog.{name}.uri", f"{server.jdbc(database)}?{settings}")
        else:
            configured(spark, {f"spark.sql.catalog.{name}.jdbc.{key}": value for key, value in (part.split("=", 1) for part in settings.split("&"))})
        if not number:
            spark.conf.set(f"spark.sql.catalog.{name}.jdbc.password", "")
        make = f"CREATE TABLE {name}.db.t USING iceberg AS SELECT 1 AS id"
        if refusal is None:
            spark.sql(make)
            assert rows(spark.table(f"{name}.db.t")) == [(1,)]
        else:
            error = str(fails(lambda make=make: spark.sql(make)))
            assert refusal in error and server.password not in error, (settings, error)


def test_a_service_over_tls(databases, tmp_path):
    """It goes on from what it has kept there."""
    server, settings = databases.good, f"sslmode=verify-full&sslrootcert={databases.authority.file}"
    url = f"{server.url(server.create_database('service'))}?{settings}"
    for folder in ("one", "two"):
        firesteel = servers.start_firesteel({}, tmp_path / folder, http=True, arguments=["--job-store", url])
        try:
            api = Api(firesteel.rest)
            assert api.sql("SELECT 1 AS a", tags=["kept"])["data"] == [{"a": 1}]
            assert connections(server, "firesteel") == {"t"}
            kept = api.get("/v1/jobs?tag=kept").json()["jobs"]
        finally:
            firesteel.close()
    assert len(kept) == 2


def test_iceberg_catalog(databases, spark, tmp_path):
    for number, (server, settings, refusal) in enumerate(databases.cases()):
        database = server.create_database(f"lake_{uuid.uuid4().hex}")
        name, more = f"lake{number}", dict(setting.split("=", 1) for setting in settings.split("&"))
        configured(spark, iceberg.postgres_catalog(name, tmp_path, server, database))
        # By the address, or by keys of the catalog's own.
        if number % 2:
            spark.conf.set(f"spark.sql.catalog.{name}.uri", f"{server.jdbc(database)}?{settings}")
        else:
            configured(spark, {f"spark.sql.catalog.{name}.jdbc.{key}": value for key, value in more.items()})
        make = f"CREATE TABLE {name}.db.t USING iceberg AS SELECT 1 AS id"
        if refusal is None:
            spark.sql(make)
            assert rows(spark.table(f"{name}.db.t")) == [(1,)]
            assert server.run("SELECT count(*) FROM iceberg_tables", database) == [["1"]]
        else:
            error = str(fails(lambda make=make: spark.sql(make)))
            assert refusal in error and server.password not in error, (settings, error)


def test_iceberg_catalog_with_spark(clients, spark, tmp_path_factory):
    """Both engines on one catalog, by the same settings of PostgreSQL's driver."""
    server, folder = clients.server, tmp_path_factory.mktemp("postgres")
    root = clients.root.split("=")[-1]
    own = {"jdbc.ssl": "true", "jdbc.sslcert": clients.own, "jdbc.sslkey": clients.key.with_suffix(".pk8")}
    settings = iceberg.postgres_catalog("books", folder, server, server.create_database("books"))
    settings |= {f"spark.sql.catalog.books.{key}": str(value) for key, value in own.items()}
    settings |= {"spark.sql.catalog.books.jdbc.sslrootcert": root}
    started = iceberg.start_spark(tmp_path_factory.mktemp("folder"), [iceberg.postgresql()])
    theirs = configured(servers.connect(started.remote), settings)
    try:
        ours = configured(spark, settings)
        theirs.sql("CREATE NAMESPACE books.db")
        theirs.sql("CREATE TABLE books.db.t USING iceberg AS SELECT 1 AS id")
        ours.sql("INSERT INTO books.db.t VALUES (2)")
        theirs.sql("INSERT INTO books.db.t VALUES (3)")
        assert rows(ours.table("books.db.t")) == rows(theirs.table("books.db.t")) == [(1,), (2,), (3,)]
        # `ssl` alone means that the certificate is looked at, there and here.
        for session in (ours, theirs):
            configured(session, {"spark.sql.catalog.strict.jdbc.ssl": "true", **iceberg.postgres_catalog("strict", folder, server, "books")})
            fails(lambda session=session: session.table("strict.db.t").collect())
    finally:
        theirs.stop()
        started.close()
