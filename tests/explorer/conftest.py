"""The browser that several folders of tests share, and networks run by node as a page runs them."""

import importlib.util
import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from genmod.explorer.page import NETWORK

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).parents[1] / "browser.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
artefacts, browser = _module.artefacts, _module.browser

PROGRAM = """
const fs = require("fs");
const bytes = (text) => {
  const b = Buffer.from(text, "base64");
  return b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength);
};
const words = (values) => Array.from(values, (v) => (Number.isFinite(v) ? v : String(v)));
const cases = JSON.parse(fs.readFileSync(0, "utf8"));
const run = ({ graph, inputs }) => words(new Network(graph, bytes(graph.weights)).run(...inputs.map((x) => x.map(Number))));
console.log(JSON.stringify({ operations: Network.operations, results: cases.map(run) }));
"""


@pytest.fixture(scope="session")
def run_in_node(tmp_path_factory):
    """``[(graph, inputs), …]`` → the operations that there are, and the output of each graph, flattened."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    script = tmp_path_factory.mktemp("node") / "run.js"
    static = files("genmod.explorer") / "static"
    source = "".join((static / name).read_text(encoding="utf-8") for name in NETWORK)
    script.write_text(source + PROGRAM, encoding="utf-8")

    def run(cases):
        plain = [
            {"graph": graph, "inputs": [[str(v) for v in x.flatten().tolist()] for x in inputs]}
            for graph, inputs in cases
        ]
        done = subprocess.run([node, str(script)], input=json.dumps(plain), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return answer["operations"], [torch.tensor([float(v) for v in r]) for r in answer["results"]]

    return run
