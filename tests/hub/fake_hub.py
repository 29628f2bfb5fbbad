"""A server on loopback that answers what huggingface_hub asks the Hub: repositories, commits, large files, branches.

What it holds is in memory. ``FakeHub.requests`` has every request, so that a test sees what was asked and what went up.
"""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_secret_of_the_user"


def blob_id(content):
    """The name that git gives to a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Repository:
    """Branches, each with its newest commit, and the files of each commit."""

    def __init__(self, private=False):
        self.private = private
        self.commits = {}
        self.branches = {}
        self.messages = []
        self.commit("main", {})

    def commit(self, branch, files, message="first"):
        """Make a commit with exactly these files; its name."""
        sha = hashlib.sha1(f"{len(self.commits)} {branch}".encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.branches[branch] = sha
        self.messages.append(message)
        return sha

    def at(self, revision):
        """The commit that a branch or a name stands for; None where there is none."""
        return self.branches.get(revision) or (revision if revision in self.commits else None)


class FakeHub:
    """The server; a context."""

    def __init__(self):
        self.repositories = {}
        self.requests = []
        self.large = {}
        self.sizes = {}
        """Path → a size that is told in place of the true one."""
        self.down = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def files(self, name, revision="main"):
        """The files of a repository: path → content."""
        repository = self.repositories[name]
        return repository.commits[repository.at(revision)]

    def put(self, name, files):
        """A repository with these files."""
        repository = self.repositories.setdefault(name, Repository())
        return repository.commit("main", files)

    def asked(self, method):
        """The paths that were asked for by a method."""
        return [path for how, path in self.requests if how == method]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _respond(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.hub.down:
            self.close_connection = True
            return self.connection.close()
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method.split():
                return answer(self, **found.groupdict())
        return self._error(404, "EntryNotFound", f"no route for {self.command} {path}")

    do_GET = do_HEAD = do_POST = do_PUT = _respond

    def _send(self, content, status=200, **headers):
        if not isinstance(content, bytes):
            content, headers = json.dumps(content).encode(), {"Content-Type": "application/json", **headers}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _error(self, status, code, message):
        self._send({"error": message}, status, X_Error_Code=code, X_Error_Message=message)

    def _may_write(self):
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._error(401, "", "Invalid username or password.")
        return False

    def _found(self, name, revision="main"):
        """The repository and the commit; None after an error was sent."""
        repository = self.hub.repositories.get(name)
        hidden = repository and repository.private and self.headers.get("Authorization") != f"Bearer {TOKEN}"
        if repository is None or hidden:
            self._error(401, "RepoNotFound", "Repository not found")
            return None
        sha = repository.at(revision)
        if sha is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository, sha

    def create(self):
        if not self._may_write():
            return
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.hub.repositories:
            self._send({"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"}, 409)
            return
        self.hub.repositories[name] = Repository(
            asked.get("visibility") == "private" or bool(asked.get("private"))
        )
        self._send({"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def branch(self, name, branch):
        if not (self._may_write() and (found := self._found(name))):
            return
        repository, sha = found
        if branch in repository.branches:
            self._error(409, "", "Reference already exists")
            return
        repository.branches[branch] = sha
        self._send({})

    def validate(self):
        self._send({"errors": [], "warnings": []})

    def preupload(self, name, revision):
        if not (self._may_write() and (found := self._found(name, revision))):
            return
        there = found[0].commits[found[1]]
        self._send(
            {
                "files": [
                    {
                        "path": each["path"],
                        "uploadMode": "lfs" if each["path"].endswith((".safetensors", ".png")) else "regular",
                        "shouldIgnore": False,
                        "oid": blob_id(there[each["path"]]) if each["path"] in there else None,
                    }
                    for each in json.loads(self.body)["files"]
                ]
            }
        )

    def batch(self, name):
        if not self._may_write():
            return
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.hub.url}/upload/{each['oid']}", "header": {}}}}
            for each in json.loads(self.body)["objects"]
        ]
        self._send({"transfer": "basic", "objects": objects})

    def upload(self, oid):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.large[oid] = self.body
        self._send(b"")

    def commit(self, name, revision):
        if not (self._may_write() and (found := self._found(name, revision))):
            return
        repository, sha = found
        files, message = dict(repository.commits[sha]), ""
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            match line["key"]:
                case "header":
                    message = value["summary"]
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.large[value["oid"]]
                case "deletedFile":
                    files.pop(value["path"])
        new = repository.commit(revision, files, message)
        self._send(
            {
                "success": True,
                "commitOid": new,
                "commitUrl": f"{self.hub.url}/{name}/commit/{new}",
                "hookOutput": "",
            }
        )

    def info(self, name, revision="main"):
        if found := self._found(name, revision):
            repository, sha = found
            siblings = [
                {"rfilename": path, "size": self.hub.sizes.get(path, len(content))}
                for path, content in repository.commits[sha].items()
            ]
            self._send(
                {"id": name, "modelId": name, "sha": sha, "private": repository.private, "siblings": siblings}
            )

    def tree(self, name, revision):
        if found := self._found(name, revision):
            files = found[0].commits[found[1]]
            self._send(
                [
                    {
                        "type": "file",
                        "path": path,
                        "size": self.hub.sizes.get(path, len(content)),
                        "oid": blob_id(content),
                    }
                    for path, content in files.items()
                ]
            )

    def resolve(self, name, revision, path):
        if found := self._found(name, revision):
            content = found[0].commits[found[1]].get(path)
            if content is None:
                self._error(404, "EntryNotFound", "Entry not found")
            else:
                self._send(
                    content, ETag=f'"{blob_id(content)}"', X_Repo_Commit=found[1], Accept_Ranges="bytes"
                )


_NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
_REVISION = r"(?P<revision>[^/]+)"
_ROUTES = [
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate),
    ("POST", f"/api/models/{_NAME}/branch/(?P<branch>[^/]+)", _Handler.branch),
    ("POST", f"/api/models/{_NAME}/preupload/{_REVISION}", _Handler.preupload),
    ("POST", f"/api/models/{_NAME}/commit/{_REVISION}", _Handler.commit),
    ("POST", rf"/{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", "/upload/(?P<oid>[0-9a-f]{64})", _Handler.upload),
    ("GET", f"/api/models/{_NAME}/revision/{_REVISION}", _Handler.info),
    ("GET", f"/api/models/{_NAME}/tree/{_REVISION}", _Handler.tree),
    ("GET", f"/api/models/{_NAME}", _Handler.info),
    ("GET HEAD", f"/{_NAME}/resolve/{_REVISION}/(?P<path>.+)", _Handler.resolve),
]
