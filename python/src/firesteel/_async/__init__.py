"""The clients. `_sync` is made from `_async` by `python/unasync.py`; edit `_async`."""
