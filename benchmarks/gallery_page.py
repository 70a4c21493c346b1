"""Writes `docs/gallery.md` from the examples and from what `gallery.py` measured.

    make gallery ARGS="--json gallery.json"
    python benchmarks/gallery_page.py gallery.json

The page shows each loop's words and its step as they stand in the file; a test holds it
to that.
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

from gallery import BACKENDS, EXAMPLES, largest_difference, names

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"

HEAD = """\
# Loops that `fit()` cannot express

Each of these is one file of at most 90 lines in [examples](../examples), the same on
JAX, TensorFlow and PyTorch: no subclass, no branch for a backend. Run one with

    pip install "ownloop[jax,examples]"
    KERAS_BACKEND=jax python examples/gan.py

`make gallery` runs all of them on all three backends. What they learnt there (two cores
of an x86-64 machine), how much faster the compiled step was than the same step run
eagerly, and the largest difference between two backends' losses in the first 20 steps
from equal weights and batches, relative to the larger loss:
"""


def words_and_step(name: str) -> tuple[str, str, str]:
    """Returns a file's title, the rest of its words, and the source of its step."""
    source = (EXAMPLES / f"{name}.py").read_text()
    module = ast.parse(source)
    title, _, rest = (ast.get_docstring(module) or "").partition("\n")
    step = ast.get_source_segment(source, step_of(module)) or ""
    return title, rest.strip(), step


def step_of(module: ast.Module) -> ast.FunctionDef:
    """Returns the function `train_step`, or the one that makes it."""
    functions = {n.name: n for n in module.body if isinstance(n, ast.FunctionDef)}
    if "train_step" in functions:
        return functions["train_step"]
    (maker,) = [
        node.value.func.id
        for node in module.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "train_step"
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
    ]
    return functions[maker]


def table(results: dict[str, Any]) -> str:
    """Returns what was measured, a row for each loop."""
    heads = ["loop", "learnt on JAX", "TensorFlow", "PyTorch", "faster", "differ by"]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for name in sorted(results):
        found = results[name]
        learnt = [
            ", ".join(f"{key} {value:.3g}" for key, value in found[b]["learnt"].items())
            for b in BACKENDS
        ]
        faster = " / ".join(f"{found[b]['faster']:.0f}x" for b in BACKENDS)
        difference = largest_difference({b: found[b]["losses"] for b in BACKENDS})
        cells = [f"[{name}](#{name})", *learnt, faster, f"{difference:.0e}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def section(name: str) -> str:
    """Returns what the page says of one loop."""
    title, words, step = words_and_step(name)
    link = f"The whole file: [examples/{name}.py](../examples/{name}.py)"
    return f"## {name}\n\n**{title}**\n\n{words}\n\n```python\n{step}\n```\n\n{link}\n"


def page(results: dict[str, Any]) -> str:
    """Returns the page."""
    return "\n".join([HEAD, table(results), "", *(section(n) for n in names())])


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(Path(sys.argv[1]).read_text())))
