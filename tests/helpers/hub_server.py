"""A small server that speaks to huggingface_hub's client as the Hub does, with faults on request. Loopback only.

It serves files (HEAD and GET with ranges), tells what a repository has, makes repositories and takes commits.
Everything is a plain file of git or has the sha256 of LFS as its tag, as on the Hub; Xet is not spoken.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith(".safetensors")


def etag(name: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if is_large(name) else git_blob(content)


@dataclass
class Repository:
    """Commits by their 40 digits, and where the branches are; `token` opens a private or gated one."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Files over those of the branch; the commit's name."""
        before = self.commits.get(self.branches.get(branch, ""), {})
        name = secrets.token_hex(20)
        self.commits[name] = {**before, **files}
        self.branches[branch] = name
        return name

    def commit_folder(self, folder: Path, branch: str = "main") -> str:
        return self.commit({path.name: path.read_bytes() for path in folder.iterdir()}, branch)


@dataclass
class Faults:
    """What goes wrong with files of the name `on`, and how often (`times`)."""

    on: str = ""
    times: int = 10**6
    status: int = 0  # this answer instead
    cut_after: int | None = None  # bytes, then the connection ends
    shorter: int = 0  # by so many bytes, in the header too
    flip: bool = False  # a bit in the middle
    headers: dict[str, str] = field(default_factory=dict)  # in place of the right ones
    delay: float = 0.0

    def take(self, name: str, counts: bool) -> Faults | None:
        if name != self.on or self.times < 1:
            return None
        self.times -= counts
        return self


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str | None
    token: str | None
    status: int
    sent: int


class HubServer:
    """Use as a context; `endpoint` is what HF_ENDPOINT must be."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.faults = Faults()
        self.requests: list[Request] = []
        self.connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Also for connections that are kept alive."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def add(self, name: str, folder: Path | None = None, **kind: Any) -> Repository:
        self.repositories[name] = repository = Repository(**kind)
        if folder is not None:
            repository.commit_folder(folder)
        return repository

    def got(self, name: str, method: str = "GET") -> list[Request]:
        """The requests for files of that name."""
        return [request for request in self.requests if request.method == method and request.path.endswith(f"/{name}")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        self.hub.connections.append(self.connection)
        with contextlib.suppress(ConnectionError):  # clients may hang up
            super().handle()

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self._chunks()
        self._route()

    def _chunks(self) -> bytes:
        """Of a body that is sent in chunks."""
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return b""
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(*match.groups())
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._info(match[1], match[2] or "main")
        elif path == "/api/repos/create":
            self._create(json.loads(self._body))
        elif path == "/api/validate-yaml":
            self._validate(json.loads(self._body)["content"])
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/(.+)", path):
            files = json.loads(self._body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            if self._repository(match[1], write=True):
                self._json({"files": modes})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/branch/(.+)", path):
            if repository := self._repository(match[1], write=True):
                repository.branches.setdefault(match[2], repository.branches.get("main", ""))
                self._json({})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            self._commit(match[1], match[2])
        else:
            self._refuse(404, "NotFound")

    def _repository(self, name: str, write: bool = False) -> Repository | None:
        """The repository, if the token may see it; otherwise the Hub's refusal is sent."""
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.token and not repository.gated and self._token() != repository.token):
            self._refuse(404 if self._token() else 401, "RepoNotFound")
        elif repository.gated and self._token() != repository.token:
            self._refuse(403 if self._token() else 401, "GatedRepo")
        elif write and self._token() != "hf_write":
            self._refuse(403, "")
        else:
            return repository
        return None

    def _file(self, name: str, revision: str, file: str) -> None:
        head = self.command == "HEAD"
        fault = self.hub.faults.take(file, counts=not head)
        if fault and fault.status:
            return self._refuse(fault.status, "")
        if fault and fault.delay:
            threading.Event().wait(fault.delay)  # time.sleep is cut short, see below
        if not (repository := self._repository(name)):
            return None
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return self._refuse(404, "RevisionNotFound")
        if file not in repository.commits[commit]:
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        content = repository.commits[commit][file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag(file, content)}"', "Accept-Ranges": "bytes"}
        if fault:
            content = content[: len(content) - fault.shorter]
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ fault.flip]) + content[middle + 1 :]
            headers |= fault.headers
        status, begin, whole = 200, 0, len(content)
        if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            begin, status = int(found[1]), 206
            headers["Content-Range"] = f"bytes {begin}-{whole - 1}/{whole}"
        return self._send(status, content[begin:], headers, fault.cut_after if fault and not head else None)

    def _info(self, name: str, revision: str) -> None:
        if not (repository := self._repository(name)):
            return None
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return self._refuse(404, "RevisionNotFound")
        siblings = []
        for file, content in repository.commits[commit].items():
            entry: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": git_blob(content)}
            if is_large(file):
                entry["lfs"] = {"sha256": etag(file, content), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return self._json({"id": name, "modelId": name, "sha": commit, "siblings": siblings, "tags": []})

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if self._token() != "hf_write":
            return self._refuse(403, "")
        if name in self.hub.repositories:
            return self._refuse(409, "")
        token = "hf_write" if wanted.get("private") or wanted.get("visibility") == "private" else None
        self.hub.add(name, token=token).commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        return self._json({"url": f"{self.hub.endpoint}/{name}", "name": name, "id": name})

    def _validate(self, card: str) -> None:
        """One rule of the Hub's for the head of a card stands for all."""
        if re.search("^tags: [^\\[\n]", card, re.MULTILINE):
            body = json.dumps({"errors": [{"message": '"tags" must be an array'}], "warnings": []}).encode()
            self._send(400, body, {"Content-Type": "application/json"})
        else:
            self._json({"errors": [], "warnings": []})

    def _commit(self, name: str, branch: str) -> None:
        if not (repository := self._repository(name, write=True)):
            return
        lines = [json.loads(line) for line in self._body.splitlines()]
        parents = [line["value"].get("parentCommit") for line in lines if line["key"] == "header"]
        if any(parent not in (None, repository.branches[branch]) for parent in parents):
            return self._refuse(412, "")
        files = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
        commit = repository.commit({path: base64.b64decode(text) for path, text in files.items()}, branch)
        url = f"{self.hub.endpoint}/{name}/commit/{commit}"
        self._json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str], cut_after: int | None = None) -> None:
        sent = content if cut_after is None else content[:cut_after]
        request = Request(self.command, self.path, self.headers.get("Range"), self._token(), status, len(sent))
        if self.path != "/api/agent-harnesses":  # which the client asks for its own reasons
            self.hub.requests.append(request)
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
        if len(sent) < len(content) and self.command != "HEAD":
            self.close_connection = True


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A server, and the client of this process pointed at it, with an empty cache, as by HF_ENDPOINT and HF_HOME."""
    from huggingface_hub import constants

    with HubServer() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
        for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(time, "sleep", lambda seconds, real=time.sleep: real(min(seconds, 0.05)))  # between retries
        yield server
