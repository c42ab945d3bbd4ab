"""Jars from Maven Central, fetched once."""
import os
import pathlib
import urllib.request

from .once import alone

CENTRAL = "https://repo1.maven.org/maven2"
CACHE = pathlib.Path.home() / ".cache" / "firesteel" / "jars"


def fetched(group, name, version):
    """The path of a jar on this machine."""
    file = f"{name}-{version}.jar"
    jar = CACHE / file
    with alone(jar):
        if not jar.exists():
            part = jar.with_suffix(f".{os.getpid()}")
            urllib.request.urlretrieve(f"{CENTRAL}/{group.replace('.', '/')}/{name}/{version}/{file}", part)
            part.rename(jar)
    return jar
