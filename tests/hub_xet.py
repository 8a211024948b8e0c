"""Files out of hf_xet's local store, as a server of the Xet protocol would give them. Knows the store's shard files alone.

A shard lists files by their Xet hash, with the SHA-256 that a commit names; each entry is 48 bytes.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

_ENTRY = 48
_END = b"\xff" * 32
_HAS_SHA256, _HAS_CHECKS = 1 << 30, 1 << 31


def read_xet(store: Path, sha256: str) -> bytes | None:
    """The bytes of an uploaded file; `None` where there is none."""
    for path in (store / "xet" / "xorbs" / "shards").glob("*.mdb"):
        for xet_hash, digest, size in _files(path.read_bytes()):
            if digest == sha256:
                return _download(store, xet_hash, size)
    return None


def _files(shard: bytes) -> Iterator[tuple[str, str, int]]:
    place = _ENTRY  # the header
    while shard[place : place + 32] != _END:
        xet_hash = _hex(shard[place : place + 32])
        flags, segments = struct.unpack_from("<II", shard, place + 32)
        place += _ENTRY
        size = sum(struct.unpack_from("<I", shard, place + _ENTRY * index + 36)[0] for index in range(segments))
        place += _ENTRY * segments * (2 if flags & _HAS_CHECKS else 1)
        if flags & _HAS_SHA256:
            yield xet_hash, _hex(shard[place : place + 32]), size
            place += _ENTRY


def _hex(digest: bytes) -> str:
    """Xet writes a digest as four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


def _download(store: Path, xet_hash: str, size: int) -> bytes:
    """Out of a copy: the uploading client may hold the store's database."""
    hf_xet: Any = import_module("hf_xet")
    with tempfile.TemporaryDirectory() as name:
        copy, out = Path(name) / "store", Path(name) / "file"
        shutil.copytree(store, copy)
        with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{copy}") as group:
            group.start_download_file(hf_xet.XetFileInfo(xet_hash, size), str(out))
        return out.read_bytes()
