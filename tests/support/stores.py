"""An S3 service for the tests: `moto`, in a process of its own; and a proxy before it that misbehaves as it is told."""
import http.client
import http.server
import socket
import sys
import threading
import typing

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
from support import servers


class Store:
    """A running service, and a client of it that is not Firesteel."""

    def __init__(self):
        port = servers.free_port()
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.server = servers.Server(
            lambda folder: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        )
        self.server.wait_until(self.listens)
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="tests",
            aws_secret_access_key="of-nobody",
        )

    def listens(self):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def keys(self, bucket, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def uploads(self, bucket):
        """Uploads that were begun and neither completed nor aborted."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]

    def text(self, bucket, key):
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def close(self):
        self.server.close()


class Request(typing.NamedTuple):
    method: str
    path: str
    # by names in lower case
    headers: dict
    body: bytes = b""


def checking(keys):
    """An answer for a `Proxy` that lets in who signs with one of `keys`, secrets by access key."""

    def answer(request):
        signed = request.headers.get("authorization")
        if not signed:
            return 403, "AccessDenied"
        parts = dict(part.strip().split("=", 1) for part in signed.split(" ", 1)[1].split(","))
        key, _, region, service, _ = parts["Credential"].split("/")
        if key not in keys:
            return 403, "InvalidAccessKeyId"
        named = parts["SignedHeaders"].split(";")
        headers = {name: value for name, value in request.headers.items() if name in named}
        # A blank in a query may be sent as a plus; signed it is %20.
        path, mark, query = request.path.partition("?")
        url = "http://" + request.headers["host"] + path + mark + query.replace("+", "%20")
        own = botocore.awsrequest.AWSRequest(request.method, url, headers)
        own.context["timestamp"] = own.headers["x-amz-date"]
        signer = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(key, keys[key]), service, region)
        wanted = signer.signature(signer.string_to_sign(own, signer.canonical_request(own)), own)
        return None if wanted == parts["Signature"] else (403, "SignatureDoesNotMatch")

    return answer


class Proxy:
    """Passes requests on to a service. `answer(request)`, of a `Request`, may give a status and a code to answer instead;
    `lose(request)` too, for a request that was passed on."""

    def __init__(self, store, answer=lambda request: None, lose=lambda request: None):
        proxy = self
        self.requests = []
        self.answer = answer
        self.lose = lose
        # What the service is asked for in place of a path
        self.rewrite = lambda path: path

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                proxy.requests.append((self.command, self.path))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                told = proxy.answer(request)
                if told:
                    return self.refuse(*told)
                connection = http.client.HTTPConnection("127.0.0.1", store.port)
                connection.request(self.command, proxy.rewrite(self.path), body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                told = proxy.lose(request)
                return self.refuse(*told) if told else self.send(answer.status, answer.getheaders(), content)

            def refuse(self, status, code):
                if code.startswith("{"):
                    return self.send(status, [("Content-Type", "application/json")], code.encode())
                return self.send(status, [], f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>".encode())

            def send(self, status, headers, body):
                self.send_response(status)
                sized = False
                for name, value in headers:
                    if name.lower() in ("transfer-encoding", "connection", "date", "server"):
                        continue
                    if name.lower() == "content-length":
                        sized = True
                    self.send_header(name, value)
                if not sized:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Silence:
    """An endpoint that takes connections and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def close(self):
        self.listener.close()
