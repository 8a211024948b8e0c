"""What a stand-in Hub answers to each call, with the fields that the real one sends. Knows requests and state, not sockets."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_state import Blob, HubState, Refusal, git_oid
from hub_xet import read_xet

WRITE = "hf_WriteTokenOfTheTestsWriteTokenOf"
READ = "hf_ReadTokenOfTheTestsReadTokenOfTh"
WRONG = "hf_NoSuchTokenNoSuchTokenNoSuchToke"
NAMESPACES = ("alice", "acme")
"""Where the write token may write; `readers` is an organisation that it may only read."""
SIGNATURE = "X-Amz-Signature=5ecr3t5ignature"
WRITES = frozenset({"create", "preupload", "xet", "commit", "tag", "branch", "batch", "put", "verify"})
"""Calls that change the Hub, or get ready to."""


@dataclass
class Fault:
    """`kind`: status (answer it, do nothing), lost (do it, then drop the connection), drop (drop it at once), slow, or `call`."""

    call: str
    status: int = 503
    kind: str = "status"
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": "injected"}'
    action: Callable[[], object] | None = None


@dataclass(frozen=True)
class Call:
    """One request, as it arrived."""

    name: str
    method: str
    path: str
    status: int
    authorised: bool
    body: bytes = b""


@dataclass
class Answer:
    value: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """One request to a route; says who asks, and refuses as the Hub does."""

    hub: HubServer
    match: re.Match[str]
    full_path: str
    token: str
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.full_path).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.full_path).query)

    @property
    def kind(self) -> str:
        return self.match["kind"] or "models"

    @property
    def name(self) -> str:
        return self.match["name"]

    @property
    def revision(self) -> str:
        return unquote(self.match["rev"] or "main")

    def json(self) -> Any:
        return json.loads(self.body)

    def user(self) -> str:
        if self.token not in {WRITE, READ}:
            raise Refusal(401, "Invalid credentials in Authorization header" if self.token else "Invalid username or password.")
        return self.token

    def repo(self) -> Any:
        if self.token:
            self.user()
        repo = self.hub.state.repo(self.kind, self.name)
        if repo.visibility == "private" and not self.token:
            raise Refusal(401, "Repository not found", "RepoNotFound")
        if repo.gated and self.token == READ:
            raise Refusal(403, "Access to this dataset is restricted", "GatedRepo")
        return repo

    def may_write(self, owner: str) -> None:
        if self.user() != WRITE or owner == "readers":
            raise Refusal(403, "Forbidden: you don't have the rights to do this")
        if owner not in NAMESPACES:
            raise Refusal(404, "Namespace not found")

    def may_write_repo(self) -> Any:
        repo = self.repo()
        self.may_write(self.name.split("/")[0])
        return repo


def _row(path: str, blob: Blob | None) -> dict[str, Any]:
    if blob is None:
        return {"type": "directory", "path": path, "oid": git_oid(path.encode())}
    row: dict[str, Any] = {"type": "file", "path": path, "size": blob.size, "oid": blob.oid}
    if blob.large:
        row["oid"] = git_oid(blob.oid.encode())
        row["lfs"] = {"oid": blob.oid, "size": blob.size, "pointerSize": 134}
    return row


class HubServer:
    """The state, the answers and the faults; `hub_server` reads and writes the HTTP."""

    def __init__(self, root: Path, page: int = 1000) -> None:
        self.state, self.page = HubState(root), page
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.url = ""

    @property
    def store_url(self) -> str:
        """Another host, as the real one has for large files: tokens are not to be sent there."""
        return self.url.replace("127.0.0.1", "localhost")

    def fail(self, call: str, **how: Any) -> None:
        self.faults.append(Fault(call, **how))

    def names(self) -> list[str]:
        return [call.name for call in self.calls]

    def take_fault(self, name: str) -> Fault | None:
        with self.state.lock:
            for fault in self.faults:
                if fault.call == name and fault.skip:
                    fault.skip -= 1
                elif fault.call == name and fault.times:
                    fault.times -= 1
                    return fault
        return None

    # The calls. Each returns (status, headers, JSON value or bytes or path of a file).

    def harnesses(self, _: Request) -> Answer:
        raise Refusal(404, "nothing here")

    def whoami(self, request: Request) -> Answer:
        request.user()
        return Answer({"type": "user", "name": "alice", "orgs": [{"name": "acme"}], "auth": {}})

    def create(self, request: Request) -> Answer:
        body = request.json()
        owner = body.get("organization") or "alice"
        request.may_write(owner)
        kind, name = f"{body.get('type', 'model')}s", f"{owner}/{body['name']}"
        url = f"{self.url}/{'' if kind == 'models' else kind + '/'}{name}"
        try:
            self.state.create(kind, name, body.get("visibility", "public"))
        except Refusal as refusal:
            return Answer({"error": refusal.message, "url": url}, refusal.status)
        return Answer({"url": url, "name": name, "id": "0"})

    def validate(self, request: Request) -> Answer:
        import yaml

        content, errors, notes = request.json()["content"], [], []
        parts = content.split("---\n", 2)
        try:
            values = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
        except yaml.YAMLError as fault:
            values, errors = {}, [{"message": f"bad indentation: {str(fault).splitlines()[0]}"}]
        if not values:
            notes = [{"message": "empty or missing yaml metadata in repo card"}]
        if isinstance(values, dict) and not isinstance(values.get("language", []), list | str):
            errors.append({"message": '"language" must be a list'})
        return Answer({"errors": errors, "warnings": notes}, 400 if errors else 200)

    def auth(self, request: Request) -> Answer:
        request.repo()
        if request.match["write"]:
            request.may_write(request.name.split("/")[0])
        return Answer({})

    def refs(self, request: Request) -> Answer:
        repo = request.repo()
        rows = {
            group: [{"name": n, "ref": f"refs/{what}/{n}", "targetCommit": oid} for n, oid in refs.items()]
            for group, what, refs in (("branches", "heads", repo.branches), ("tags", "tags", repo.tags))
        }
        return Answer({**rows, "converts": [], "pullRequests": []})

    def info(self, request: Request) -> Answer:
        repo = request.repo()
        sha = self.state.resolve(request.kind, request.name, request.revision)
        files = self.state.tree(request.kind, request.name, sha)
        value = {
            "id": request.name,
            "sha": sha,
            "private": repo.visibility == "private",
            "gated": "manual" if repo.gated else False,
            "disabled": False,
            "tags": [],
            "siblings": [{"rfilename": path} for path in files],
        }
        return Answer(value)

    def tree(self, request: Request) -> Answer:
        request.repo()
        files = self.state.tree(request.kind, request.name, request.revision)
        prefix = f"{unquote(request.match['path'])}/" if request.match["path"] else ""
        inside = [path for path in files if path.startswith(prefix)]
        if prefix and not inside:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        folders = {parent.as_posix() for path in inside for parent in PurePosixPath(path).parents if parent.as_posix() != "."}
        entries = sorted([*inside, *(each for each in folders if each.startswith(prefix) and each != prefix[:-1])])
        if request.query.get("recursive", ["false"])[0].lower() != "true":
            entries = [each for each in entries if "/" not in each[len(prefix) :]]
        rows = [_row(path, files.get(path)) for path in entries]
        start = int(request.query.get("cursor", ["0"])[0])
        headers = {}
        if start + self.page < len(rows):
            rest = "&".join(f"{k}={v[0]}" for k, v in request.query.items() if k != "cursor")
            headers["Link"] = f'<{self.url}{request.path}?{rest}&cursor={start + self.page}>; rel="next"'
        return Answer(rows[start : start + self.page], headers=headers)

    def paths(self, request: Request) -> Answer:
        request.repo()
        files = self.state.tree(request.kind, request.name, request.revision)
        wanted = request.json()["paths"]
        rows = [_row(path, files[path]) for path in wanted if path in files]
        rows += [_row(path, None) for path in wanted if any(each.startswith(f"{path}/") for each in files)]
        return Answer(rows)

    def preupload(self, request: Request) -> Answer:
        request.may_write_repo()
        tree = self.state.tree(request.kind, request.name, request.revision)
        ignore = tree.get(".gitignore")
        patterns = (self.state.blobs / ignore.oid).read_text().split() if ignore else []
        rows = []
        for each in request.json()["files"]:
            large = each["path"].endswith((".parquet", ".png", ".arrow", ".safetensors")) or each["size"] > 10 << 20
            known = tree.get(each["path"])
            row = {"path": each["path"], "uploadMode": "lfs" if large else "regular"}
            row["shouldIgnore"] = any(fnmatch.fnmatch(each["path"], pattern) for pattern in patterns)
            rows.append(row | ({"oid": known.oid} if known else {}))
        return Answer({"files": rows})

    def xet(self, request: Request) -> Answer:
        request.may_write_repo()
        store = self.state.root / "xet"
        store.mkdir(exist_ok=True)
        return Answer({"accessToken": "xet", "exp": int(time.time()) + 3600, "casUrl": f"local://{store}"})

    def batch(self, request: Request) -> Answer:
        request.may_write_repo()
        rows = []
        for each in request.json()["objects"]:
            actions = {
                "upload": {"href": f"{self.store_url}/lfs/{each['oid']}?{SIGNATURE}"},
                "verify": {"href": f"{self.url}/lfs/verify"},
            }
            present = (self.state.blobs / each["oid"]).is_file()
            rows.append({**each, "authenticated": True} | ({} if present else {"actions": actions}))
        return Answer({"transfer": "basic", "objects": rows})

    def put(self, request: Request) -> Answer:
        if SIGNATURE not in request.full_path:
            raise Refusal(403, "signature")
        self._keep_blob(request.match["oid"], request.body)
        return Answer({})

    def verify(self, request: Request) -> Answer:
        request.user()
        if not (self.state.blobs / request.json()["oid"]).is_file():
            raise Refusal(404, "object")
        return Answer({})

    def commit(self, request: Request) -> Answer:
        request.may_write_repo()
        lines = [json.loads(line) for line in request.body.splitlines() if line]
        head = lines[0]["value"]
        self._fetch([line["value"]["oid"] for line in lines if line["key"] == "lfsFile"])
        parent = head.get("parentCommit", "")
        oid = self.state.commit(request.kind, request.name, request.revision, head["summary"], lines[1:], parent)
        return Answer({"commitUrl": f"{self.url}/{request.kind}/{request.name}/commit/{oid}", "commitOid": oid, "success": True})

    def _fetch(self, oids: list[str]) -> None:
        """Take over what was uploaded the Xet way."""
        for oid in oids:
            content = None if (self.state.blobs / oid).is_file() else read_xet(self.state.root / "xet", oid)
            if content is not None:
                self._keep_blob(oid, content)

    def _keep_blob(self, oid: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refusal(400, "digest")
        partial = self.state.blobs / f"{oid}.{threading.get_ident()}"
        partial.write_bytes(content)
        partial.replace(self.state.blobs / oid)

    def tag(self, request: Request) -> Answer:
        repo = request.may_write_repo()
        name = request.json()["tag"]
        if name in repo.tags:
            raise Refusal(409, "Tag reference exists already")
        repo.tags[name] = self.state.resolve(request.kind, request.name, request.revision)
        self.state.save(request.kind, request.name, repo)
        return Answer({})

    def branch(self, request: Request) -> Answer:
        repo = request.may_write_repo()
        if request.revision in repo.branches:
            raise Refusal(409, "Reference already exists")
        start = request.json().get("startingPoint") or "main"
        repo.branches[request.revision] = self.state.resolve(request.kind, request.name, start)
        self.state.save(request.kind, request.name, repo)
        return Answer({})

    def resolve(self, request: Request) -> Answer:
        request.repo()
        sha = self.state.resolve(request.kind, request.name, request.revision)
        blob = self.state.tree(request.kind, request.name, sha).get(unquote(request.match["path"]))
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if blob is None:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        headers["ETag"] = f'"{blob.oid}"'
        if blob.large:
            headers |= {"X-Linked-Etag": f'"{blob.oid}"', "X-Linked-Size": str(blob.size)}
            return Answer({}, 302, {**headers, "Location": f"{self.store_url}/cdn/{blob.oid}?{SIGNATURE}"})
        return Answer(self.state.blobs / blob.oid, headers=headers)

    def cdn(self, request: Request) -> Answer:
        path = self.state.blobs / request.match["oid"]
        if SIGNATURE not in request.full_path or not path.is_file():
            raise Refusal(403 if path.is_file() else 404, "object")
        return Answer(path, headers={"ETag": f'"{path.name}"', "Accept-Ranges": "bytes"})
