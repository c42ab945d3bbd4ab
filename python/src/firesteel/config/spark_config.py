"""A PySpark session for the whole program.

    from firesteel.config.spark_config import conf, get_spark

    conf.set("spark.sql.shuffle.partitions", "8")
    spark = get_spark()
"""
from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .. import errors, runtime
from ..runtime import conf

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SparkConfig", "conf", "get_spark", "num_partitions", "stop_spark"]

_lock = threading.RLock()
_session: Any = None


def get_spark() -> SparkSession:
    """The session: a real one of PySpark over Spark Connect. The first call makes it, and starts a server unless
    `FIRESTEEL_REMOTE` or `SPARK_REMOTE` names one. A session that was stopped, or whose server is gone, is made anew."""
    global _session
    with _lock:
        if _session is not None and not _session.is_stopped and not runtime.has_ended():
            return _session
        _end_session()
        _session = _connect()
        conf.live = _session.conf.set
        return _session


def _connect() -> Any:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise errors.ConfigurationError("get_spark() needs PySpark: pip install 'firesteel[spark]'") from error
    builder = SparkSession.builder.remote(runtime.remote())
    # PySpark warns of those that a session cannot set.
    for key, value in runtime.unknown_to_server().items():
        builder = builder.config(key, value)
    # Not another session that the program may have.
    return builder.create()


def _end_session() -> None:
    global _session
    if _session is not None and not _session.is_stopped:
        # PySpark would ask a server that is gone for minutes.
        _session.release_session_on_close = not runtime.has_ended()
        _session.stop()
    _session = None
    conf.live = None


def stop_spark() -> None:
    """Ends the session, and the server if `get_spark` started it."""
    with _lock:
        _end_session()
        runtime.stop()


def num_partitions(frame: DataFrame) -> int:
    """In how many partitions the rows of a frame are: what `df.rdd.getNumPartitions()` is asked for where there are RDDs.
    It runs the query, and counts partitions that have rows."""
    count: int = frame.selectExpr("spark_partition_id() AS partition").distinct().count()
    return count


class SparkConfig:
    """What the guide asks about the session."""

    conf = conf

    @staticmethod
    def get_session_info() -> dict[str, Any]:
        """`active`, and of an active session `app_name`, `spark_version`, `master`, `ui_web_url`, `default_parallelism`.
        It starts nothing."""
        with _lock:
            session = _session
        if session is None or session.is_stopped:
            return {"active": False}
        get = session.conf.get
        return {
            "active": True,
            "app_name": get("spark.app.name", None),
            "spark_version": session.version,
            "master": get("spark.master", None),
            "ui_web_url": get("spark.driver.appUIAddress", None),
            "default_parallelism": default_parallelism(session),
        }


def default_parallelism(session: Any) -> int:
    """The setting, or what the server makes of a range that says nothing."""
    said = session.conf.get("spark.default.parallelism", None)
    return int(said) if said else num_partitions(session.range(100_000))
