"""A fake Hugging Face hub on this machine, with repositories, commits and large files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

#: The only token with write access, and its user.
TOKEN, OWNER = "hf_good", "me"


@dataclass
class Repository:
    """Files by commit, and the commit of each branch."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def add(self, changed: dict[str, bytes], branch: str = "main") -> str:
        files = {**self.commits.get(self.branches.get(branch, ""), {}), **changed}
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[commit], self.branches[branch] = files, commit
        return commit


@dataclass
class Hub:
    """The contents of the fake hub, its address, and its requests, such as ``POST /api/...``."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    address: str = ""
    asked: list[str] = field(default_factory=list)

    def make(self, name: str, files: dict[str, bytes]) -> str:
        """Add files to a public repository, and return the commit."""
        repository = self.repositories.setdefault(name, Repository(private=False))
        return repository.add(files)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.act()

            def do_HEAD(self) -> None:
                self.act()

            def do_POST(self) -> None:
                self.act()

            def do_PUT(self) -> None:
                self.act()

            def act(self) -> None:
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = unquote(urlsplit(self.path).path)
                hub.asked.append(f"{self.command} {path}")
                routes = [
                    (r"HEAD|GET", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.resolve),
                    (r"POST", r"/api/repos/create", self.create),
                    (r"POST", r"/api/validate-yaml", self.validate),
                    (r"POST", r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", self.preupload),
                    (r"POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.batch),
                    (r"PUT", r"/large/(\w+)", self.put),
                    (r"POST", r"/large/(\w+)/verify", self.verify),
                    (r"POST", r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", self.commit),
                ]
                for method, pattern, route in routes:
                    found = re.fullmatch(pattern, path)
                    if found and re.fullmatch(method, self.command):
                        return route(*found.groups())
                return self.answer({"error": "no such route"}, 404)

            def answer(
                self, content: bytes | dict[str, Any], status: int = 200, **headers: str
            ) -> None:
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                kind = "octet-stream" if isinstance(content, bytes) else "json"
                self.send_header("Content-Type", f"application/{kind}")
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def token(self) -> str | None:
                return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

            def may_write(self, name: str) -> bool:
                if self.token() != TOKEN:
                    self.answer({"error": "Invalid username or password."}, 401)
                elif not name.startswith(f"{OWNER}/"):
                    self.answer({"error": "You don't have the rights"}, 403)
                else:
                    return True
                return False

            def resolve(self, name: str, revision: str, path: str) -> None:
                repository = hub.repositories.get(name)
                if repository is None or (repository.private and self.token() != TOKEN):
                    # The hub does not reveal to other users whether it exists.
                    status = 404 if self.token() == TOKEN else 401
                    return self.answer({}, status, X_Error_Code="RepoNotFound")
                commit = repository.branches.get(revision, revision)
                if commit not in repository.commits:
                    return self.answer({}, 404, X_Error_Code="RevisionNotFound")
                content = repository.commits[commit].get(path)
                if content is None:
                    return self.answer({}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
                tag = f'"{hashlib.sha1(content).hexdigest()}"'
                return self.answer(content, ETag=tag, X_Repo_Commit=commit)

            def create(self) -> None:
                asked = json.loads(self.body)
                owner = asked.get("organization") or OWNER
                name = f"{owner}/{asked['name']}"
                if not self.may_write(name):
                    return None
                if name in hub.repositories:
                    return self.answer({"url": f"{hub.address}/{name}"}, 409)
                private = asked.get("private") or asked.get("visibility") == "private"
                hub.repositories[name] = Repository(bool(private))
                hub.repositories[name].add({})
                return self.answer({"url": f"{hub.address}/{name}", "name": name})

            def validate(self) -> None:
                front = json.loads(self.body)["content"].split("---")[1]
                errors = [] if "library_name: srkit" in front else [{"message": "no library"}]
                self.answer({"errors": errors, "warnings": []}, 400 if errors else 200)

            def preupload(self, name: str, branch: str) -> None:
                if not self.may_write(name):
                    return
                files = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(self.body)["files"]
                ]
                self.answer({"files": files})

            def batch(self, name: str) -> None:
                if not self.may_write(name):
                    return
                objects = [
                    {
                        **given,
                        "actions": {
                            "upload": {"href": f"{hub.address}/large/{given['oid']}", "header": {}},
                            "verify": {
                                "href": f"{hub.address}/large/{given['oid']}/verify",
                                "header": {},
                            },
                        },
                    }
                    for given in json.loads(self.body)["objects"]
                ]
                self.answer({"transfer": "basic", "objects": objects})

            def put(self, oid: str) -> None:
                assert hashlib.sha256(self.body).hexdigest() == oid
                hub.large[oid] = self.body
                self.answer(b"")

            def verify(self, oid: str) -> None:
                self.answer({}, 200 if oid in hub.large else 404)

            def commit(self, name: str, branch: str) -> None:
                if not self.may_write(name):
                    return
                changed = {}
                for line in self.body.decode().splitlines():
                    step = json.loads(line)
                    value = step["value"]
                    if step["key"] == "file":
                        changed[value["path"]] = base64.b64decode(value["content"])
                    elif step["key"] == "lfsFile":
                        changed[value["path"]] = hub.large[value["oid"]]
                commit = hub.repositories[name].add(changed, branch)
                url = f"{hub.address}/{name}/commit/{commit}"
                self.answer({"success": True, "commitOid": commit, "commitUrl": url})

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
