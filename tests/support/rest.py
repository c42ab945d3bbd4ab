"""What the tests of the REST API share: a user's way to a server, by `requests` over real HTTP, and tables."""
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import requests

SECRET = "tell-nobody-of-this"
ARROW = "application/vnd.apache.arrow.stream"
# Runs until it is stopped
SLOW = "SELECT count(*) FROM range(100000000000) WHERE rand() < 2"


class Api:
    """One user's way to a server."""

    def __init__(self, base, token=None):
        self.base = base
        self.session = requests.Session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path, **kwargs):
        return self.session.get(self.base + path, timeout=60, **kwargs)

    def post(self, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.post(self.base + path, json=body or {}, headers=headers, timeout=60)

    def ok(self, path, body=None, **headers):
        response = self.post(path, body, **headers)
        assert response.status_code == 200, response.text
        return response.json()

    def job(self, path, body, **headers):
        job = self.ok(path, body, **headers)
        assert job["state"] == "succeeded", job
        return job

    def sql(self, statement, **fields):
        return self.ok("/v1/statements", {"statement": statement, **fields})

    def refused(self, path, body, status, condition=None, field=None):
        response = self.post(path, body)
        assert response.status_code == status, response.text
        return check_problem(response, condition, field)

    def until_over(self, job):
        for _ in range(30):
            job = self.get(f"/v1/jobs/{job}?wait=2").json() if isinstance(job, str) else job
            if job["state"] not in ("queued", "running"):
                return job
            job = job["id"]
        raise AssertionError("the job does not end")


def check_problem(response, condition=None, field=None):
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"].endswith(problem["condition"])
    if condition:
        assert problem["condition"] == condition, problem
    if field:
        assert problem["field"] == field, problem
    return problem


def ids(answer):
    return [row["id"] for row in answer["data"]]


def new_table(api, folder):
    """A Delta table of ten rows, by a job."""
    path = str(folder / uuid.uuid4().hex)
    source = folder / "source.parquet"
    pq.write_table(pa.table({"id": list(range(10)), "name": [f"n{i}" for i in range(10)], "salary": [float(i) for i in range(10)]}), source)
    api.job("/v1/datasets/modify", {"path": str(source), "sql": "SELECT * FROM data_table", "output_path": path, "output_format": "delta"})
    return path


def rows_of(api, path):
    answer = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "order_by": ["id"]})
    return [tuple(row.values()) for row in answer["data"]]
