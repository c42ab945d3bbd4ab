"""Makes src/firesteel/_sync of src/firesteel/_async: the same code without `async` and `await`.

    python python/unasync.py            writes the files
    python python/unasync.py --check    fails when they are not what they should be
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent / "src" / "firesteel"
# In this order, whole words.
WORDS = (
    (r"async (def|with|for) ", r"\1 "),
    (r" async for ", " for "),
    (r"await ", ""),
    (r"asynccontextmanager", "contextmanager"),
    (r"AsyncIterator", "Iterator"),
    (r"AsyncBaseTransport", "BaseTransport"),
    (r"Async(Client|Transport|Job|Statement|Dataset|DeltaTable)\b", r"\1"),
    (r"\ba(iter_lines|read|close|batches|table)\b", r"\1"),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"asyncio\.sleep", "time.sleep"),
    (r"import asyncio", "import time"),
    (r"`async with`", "`with`"),
)
NOTE = "# Made from _async by python/unasync.py.\n"


def without_async(text):
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    return NOTE + text


def main():
    wrong = []
    for source in sorted((ROOT / "_async").glob("*.py")):
        target = ROOT / "_sync" / source.name
        text = without_async(source.read_text())
        if "--check" in sys.argv:
            if not target.exists() or target.read_text() != text:
                wrong.append(target.name)
        else:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
    sys.exit(f"not made from _async: {', '.join(wrong)}; run python python/unasync.py" if wrong else 0)


if __name__ == "__main__":
    main()
