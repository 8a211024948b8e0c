"""A loopback server that speaks the Hub's API to the unmodified `huggingface_hub` and `datasets`, and can be told to misbehave.

    with hub_server(tmp_path / "hub") as hub:
        hub.fail("commit", status=503)            # the next commit is answered with 503, and not done
        hub.fail("commit", kind="lost")           # the next commit is done, and the connection dropped before the answer
        ... HfApi(endpoint=hub.url, token=WRITE) ...

    python tests/hub_server.py FOLDER             # in a process of its own: prints its address

The state lies in the folder (`hub_state`), so it outlives server and clients. Large files come the Xet way, into hf_xet's local
store, or the LFS way where the client has HF_HUB_DISABLE_XET=1.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub_calls import READ, SIGNATURE, WRITE, WRITES, WRONG, Answer, Call, Fault, HubServer, Request
from hub_state import Refusal

__all__ = ["READ", "SIGNATURE", "WRITE", "WRITES", "WRONG", "HubServer", "hub_server"]

_REPO = r"(?P<kind>datasets|models|spaces)/(?P<name>[^/]+/[^/]+)"
_FILES = r"(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+)"
"""How the address of a file names a repository: a model's has no kind in it."""
_ROUTES = tuple(
    (method, re.compile(pattern), name)
    for method, pattern, name in (
        ("GET", r"/api/agent-harnesses", "harnesses"),
        ("GET", r"/api/whoami-v2", "whoami"),
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/validate-yaml", "validate"),
        ("GET", rf"/api/{_REPO}/auth-check(?P<write>/write)?", "auth"),
        ("GET", rf"/api/{_REPO}/refs", "refs"),
        ("GET", rf"/api/{_REPO}(?:/revision/(?P<rev>[^/]+))?", "info"),
        ("GET", rf"/api/{_REPO}/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?", "tree"),
        ("POST", rf"/api/{_REPO}/paths-info/(?P<rev>[^/]+)", "paths"),
        ("POST", rf"/api/{_REPO}/preupload/(?P<rev>[^/]+)", "preupload"),
        ("GET", rf"/api/{_REPO}/xet-write-token/(?P<rev>[^/]+)", "xet"),
        ("POST", rf"/api/{_REPO}/commit/(?P<rev>[^/]+)", "commit"),
        ("POST", rf"/api/{_REPO}/tag/(?P<rev>[^/]+)", "tag"),
        ("POST", rf"/api/{_REPO}/branch/(?P<rev>[^/]+)", "branch"),
        ("POST", rf"/{_FILES}\.git/info/lfs/objects/batch", "batch"),
        ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", "put"),
        ("POST", r"/lfs/verify", "verify"),
        ("GET", rf"/{_FILES}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", "resolve"),
        ("GET", r"/cdn/(?P<oid>[0-9a-f]{40,64})", "cdn"),
    )
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer leaves in one piece: its second one would wait 40 ms for the client's acknowledgement
    disable_nagle_algorithm = True
    hub: HubServer

    def do_GET(self) -> None:
        self._serve("GET")

    def do_HEAD(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        """The calls are kept, not printed."""

    def _serve(self, method: str) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        routes = ((name, pattern.fullmatch(path)) for verb, pattern, name in _ROUTES if verb == method)
        name, match = next(((name, match) for name, match in routes if match), ("unknown", None))
        fault = self.hub.take_fault(name)
        if fault and self._misbehave(fault, name, body):
            return
        answer = self._answer(name, match, body)
        self._keep(name, answer.status, body)
        if fault and fault.kind == "lost":
            self.close_connection = True
            return
        self._send(answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _misbehave(self, fault: Fault, name: str, body: bytes) -> bool:
        """Do what the fault says; true where the request is not answered any more."""
        if fault.action:
            fault.action()
        time.sleep(fault.seconds)
        if fault.kind == "drop":
            self.close_connection = True
            self._keep(name, 0, body)
        if fault.kind == "status":
            self._keep(name, fault.status, body)
            self._send(Answer(fault.body.encode(), fault.status, {**fault.headers, "Content-Type": "application/json"}))
        return fault.kind in {"drop", "status"}

    def _answer(self, name: str, match: re.Match[str] | None, body: bytes) -> Answer:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            if match is None:
                raise Refusal(404, "no such call")
            answer: Answer = getattr(self.hub, name)(Request(self.hub, match, self.path, token, body))
            return answer
        except Refusal as refusal:
            headers = {"X-Error-Message": refusal.message} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            return Answer({"error": refusal.message}, refusal.status, headers)

    def _keep(self, name: str, status: int, body: bytes) -> None:
        kept = body if len(body) < 1 << 20 else b""
        call = Call(name, self.command, self.path, status, bool(self.headers.get("Authorization")), kept)
        self.hub.calls.append(call)

    def _send(self, answer: Answer) -> None:
        if isinstance(answer.value, Path):
            content = answer.value.read_bytes()
        else:
            content = answer.value if isinstance(answer.value, bytes) else json.dumps(answer.value).encode()
        status, headers = answer.status, {"Content-Type": "application/json", **answer.headers}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span and isinstance(answer.value, Path):
            start, stop = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{stop}/{len(content)}"
            status, content = 206, content[start : stop + 1]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the client was killed
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


@contextmanager
def hub_server(root: Path, page: int = 1000) -> Iterator[HubServer]:
    """A server in a thread, on a free port of the loopback interface, until the context ends."""
    hub = HubServer(root, page)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    with hub_server(Path(sys.argv[1])) as hub:
        sys.stdout.write(hub.url + "\n")
        sys.stdout.flush()
        sys.stdin.read()  # until whoever started us closes its end


if __name__ == "__main__":
    main()
