"""Firesteel from Python.

    REST:  Client, AsyncClient ── statements · datasets · Delta tables · jobs ──▶ firesteel server
    Spark: get_spark() ── a PySpark session over Spark Connect ──────────────────▶ the same server, started if need be

    import firesteel

    with firesteel.Client("http://127.0.0.1:8080") as client:
        client.sql("SELECT :a + 1 AS b", {"a": 41}).fetch()
        client.dataset("s3://lake/users").query(filters={"age": {">": 25}}, limit=10).to_pandas()
"""
from ._async.client import AsyncClient
from ._async.datasets import AsyncDataset
from ._async.delta import AsyncDeltaTable
from ._async.jobs import AsyncJob
from ._async.statements import AsyncStatement
from ._sync.client import Client
from ._sync.datasets import Dataset
from ._sync.delta import DeltaTable
from ._sync.jobs import Job
from ._sync.statements import Statement
from .config.spark_config import SparkConfig, conf, get_spark, num_partitions, stop_spark
from .credentials import Profile, UserAWSCredentials
from .documents import Chunk, Column, JobState, Progress
from .embedded import EmbeddedServer
from .errors import (
    ConfigurationError,
    ConflictError,
    ExpiredError,
    FiresteelError,
    InvalidRequestError,
    JobCancelledError,
    JobInterruptedError,
    NotFoundError,
    PermissionDeniedError,
    RequestTimeoutError,
    RequestTooLargeError,
    ServerError,
    ServerStartError,
    ServerUnreachableError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnprocessableError,
    UnsupportedError,
    WaitTimeoutError,
)
from .results import Rows

__version__ = "0.1.0"
__all__ = [
    "AsyncClient", "AsyncDataset", "AsyncDeltaTable", "AsyncJob", "AsyncStatement", "Chunk", "Client", "Column",
    "ConfigurationError", "ConflictError", "Dataset", "DeltaTable", "EmbeddedServer", "ExpiredError", "FiresteelError",
    "InvalidRequestError", "Job", "JobCancelledError", "JobInterruptedError", "JobState", "NotFoundError",
    "PermissionDeniedError", "Profile", "Progress", "RequestTimeoutError", "RequestTooLargeError", "Rows", "ServerError",
    "ServerStartError", "ServerUnreachableError", "SparkConfig", "Statement", "TooManyRequestsError", "UnauthenticatedError",
    "UnavailableError", "UnprocessableError", "UnsupportedError", "UserAWSCredentials", "WaitTimeoutError", "conf",
    "get_spark", "num_partitions", "stop_spark",
]  # fmt: skip
