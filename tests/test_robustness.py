"""What a client or a machine may do to the server: damaged messages, deep plans, broken connections, sudden death."""
import pathlib
import shutil
import tempfile
import threading
import time
import uuid

import grpc
import pytest
from pyspark.sql.connect.proto import base_pb2, relations_pb2
from support import servers
from support.outcome import outcome_of

SERVICE = "/spark.connect.SparkConnectService/"
ENDS_SECONDS = 60


def channel(remote):
    return grpc.insecure_channel(remote.removeprefix("sc://"))


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(message, name, payload):
    """A field that holds a message, as bytes: deeper than the library itself would write."""
    number = message.DESCRIPTOR.fields_by_name[name].number
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def execute_request(root, operation=None):
    request = base_pb2.ExecutePlanRequest(session_id=str(uuid.uuid4()))
    request.user_context.user_id = "test"
    if operation:
        request.operation_id = operation
        request.request_options.add().reattach_options.reattachable = True
    plan = field(base_pb2.Plan, "root", root)
    return request.SerializeToString() + field(base_pb2.ExecutePlanRequest, "plan", plan), request.session_id


def execute(stub, request):
    call = stub.unary_stream(SERVICE + "ExecutePlan", response_deserializer=base_pb2.ExecutePlanResponse.FromString)
    return call(request, timeout=ENDS_SECONDS)


def range_relation(rows):
    relation = relations_pb2.Relation()
    relation.range.end, relation.range.step = rows, 1
    return relation.SerializeToString()


@pytest.mark.parametrize("method", ["ExecutePlan", "AnalyzePlan", "Config", "Interrupt", "ReattachExecute"])
@pytest.mark.parametrize("message", [b"", b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", b"\x08\x01" * 10])
def test_a_damaged_message_is_an_error_of_its_own(firesteel, spark, method, message):
    with channel(firesteel) as stub, pytest.raises(grpc.RpcError):
        streams = method in ("ExecutePlan", "ReattachExecute")
        answer = (stub.unary_stream if streams else stub.unary_unary)(SERVICE + method)(message, timeout=ENDS_SECONDS)
        list(answer)
    assert spark.range(3).count() == 3


def test_a_plan_nested_too_deep_is_an_error(firesteel, spark):
    relation = range_relation(5)
    for _ in range(10_000):
        relation = field(relations_pb2.Relation, "limit", field(relations_pb2.Limit, "input", relation) + b"\x10\x05")
    with channel(firesteel) as stub, pytest.raises(grpc.RpcError):
        list(execute(stub, execute_request(relation)[0]))
    assert spark.range(3).count() == 3


def test_a_broken_stream_is_taken_up_again(firesteel):
    rows, operation = 400_000, str(uuid.uuid4())
    request, session = execute_request(range_relation(rows), operation)
    with channel(firesteel) as stub:
        stream = execute(stub, request)
        first = next(stream)
        stream.cancel()
    received = [first]
    with channel(firesteel) as stub:
        again = base_pb2.ReattachExecuteRequest(
            session_id=session, operation_id=operation, last_response_id=first.response_id
        )
        again.user_context.user_id = "test"
        call = stub.unary_stream(
            SERVICE + "ReattachExecute",
            request_serializer=base_pb2.ReattachExecuteRequest.SerializeToString,
            response_deserializer=base_pb2.ExecutePlanResponse.FromString,
        )
        received += call(again, timeout=ENDS_SECONDS)
    assert received[-1].HasField("result_complete")
    assert len({response.response_id for response in received}) == len(received)
    assert sum(response.arrow_batch.row_count for response in received) == rows


def slow_rows(session):
    return session.range(50_000_000).selectExpr("id", "sha2(cast(id AS string), 512) AS s")


def write_in_background(write):
    """The client of a dead server goes on trying to reach it: nobody waits for it."""
    outcomes = []

    def work():
        outcomes.append(outcome_of(write))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(1.5)
    return thread, outcomes


@pytest.fixture
def folder():
    path = pathlib.Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_an_interrupted_write_leaves_nothing(spark, folder):
    place = folder / "deep" / "data"
    thread, outcomes = write_in_background(lambda: slow_rows(spark).write.parquet(str(place)))
    spark.interruptAll()
    thread.join(ENDS_SECONDS)
    assert [outcome.condition for outcome in outcomes] == ["OPERATION_CANCELED"]
    assert list(folder.iterdir()) == []
    spark.range(3).write.parquet(str(place))
    assert spark.read.parquet(str(place)).count() == 3


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_an_interrupted_write_leaves_the_table_as_it_was(spark, folder, mode):
    place = folder / "data"
    spark.range(10).write.parquet(str(place))
    before = sorted(place.iterdir())
    thread, outcomes = write_in_background(lambda: slow_rows(spark).write.mode(mode).parquet(str(place)))
    spark.interruptAll()
    thread.join(ENDS_SECONDS)
    assert [outcome.condition for outcome in outcomes] == ["OPERATION_CANCELED"]
    assert sorted(place.iterdir()) == before
    assert spark.read.parquet(str(place)).count() == 10


def test_an_interrupted_table_is_not_there(spark):
    thread, outcomes = write_in_background(lambda: slow_rows(spark).write.saveAsTable("interrupted_table"))
    spark.interruptAll()
    thread.join(ENDS_SECONDS)
    assert [outcome.condition for outcome in outcomes] == ["OPERATION_CANCELED"]
    assert not spark.catalog.tableExists("interrupted_table")
    spark.range(2).write.saveAsTable("interrupted_table")
    assert spark.table("interrupted_table").count() == 2
    spark.sql("DROP TABLE interrupted_table")


@pytest.mark.parametrize("mode", ["errorifexists", "append", "overwrite"])
def test_a_server_that_dies_in_a_write_leaves_nothing_to_see(spark, folder, mode):
    place = str(folder / "data")
    doomed = servers.start_firesteel()
    try:
        session = servers.connect(doomed.remote)
        if mode != "errorifexists":
            session.range(10).write.parquet(place)
        write_in_background(lambda: slow_rows(session).write.mode(mode).parquet(place))
        doomed.process.kill()
        doomed.process.wait()
        if mode == "errorifexists":
            assert outcome_of(lambda: spark.read.parquet(place)).condition == "PATH_NOT_FOUND"
            spark.range(10).write.parquet(place)
        assert spark.read.parquet(place).count() == 10
    finally:
        doomed.close()
