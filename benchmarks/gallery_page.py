"""Writes `docs/gallery.md` from the examples and from what `gallery.py` printed.

    make gallery | tee docs/gallery.txt
    python benchmarks/gallery_page.py

The page shows each loop's words and its step as they stand in the file; a test holds it
to that.
"""

import ast
import re
from pathlib import Path

from gallery import EXAMPLES, names

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
PRINTED = PAGE.with_suffix(".txt")

HEAD = """\
# Loops that go beyond plain `fit()`

Each of these is one file of at most 90 lines in [examples](../examples), the same on
JAX, TensorFlow and PyTorch: no subclass, no branch for a backend. Some of them `fit()`
cannot do, and some it does in a way of its own. Run one with

    pip install ".[jax,examples]"
    KERAS_BACKEND=jax python examples/gan.py

`make gallery` runs all of them on all three backends. The table says what they learnt
there (two cores of an x86-64 machine), how much faster the compiled step was than the
same step run eagerly (JAX / TensorFlow / PyTorch; timed once, so the order of magnitude
counts), and the largest difference between two backends' losses
in the first 20 steps from equal weights and batches, relative to the larger loss. All
that was printed, with seconds and how each step ran, is in [gallery.txt](gallery.txt).

The numbers are accuracies, but for these: the `difference` of accumulation is that
between two sets of weights; meta_learning and physics_informed have errors;
mixed_precision counts steps, `skipped` and `updates`; reinforce has turns survived, the
transformer bits per character, the variational_autoencoder nats per digit, and
wasserstein the distance of what was drawn from what is real. Arguments of a step that
default to `None`, such as `noise`, let `make gallery` hand all backends the same random
numbers; in training the step draws them itself.
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


def table(printed: str) -> str:
    """Returns what was measured, a row for each loop."""
    heads = ["loop", "learnt on JAX", "TensorFlow", "PyTorch", "faster", "differ by"]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    blocks = re.split(r"^(\w+): losses differ by (\S+).*$", printed, flags=re.MULTILINE)
    for name, difference, block in sorted(
        zip(blocks[1::3], blocks[2::3], blocks[3::3], strict=True)
    ):
        faster = re.findall(r"([\d.]+) x faster", block)
        learnt = re.findall(r"faster than eager.*\n +(.*)", block)
        speeds = " / ".join(f"{float(ratio):.0f}x" for ratio in faster)
        cells = [f"[{name}](#{name})", *learnt, speeds, difference]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def section(name: str) -> str:
    """Returns what the page says of one loop."""
    title, words, step = words_and_step(name)
    link = f"The whole file: [examples/{name}.py](../examples/{name}.py)"
    return f"## {name}\n\n**{title}**\n\n{words}\n\n```python\n{step}\n```\n\n{link}\n"


def page(printed: str) -> str:
    """Returns the page."""
    return "\n".join([HEAD, table(printed), "", *(section(n) for n in names())])


if __name__ == "__main__":
    PAGE.write_text(page(PRINTED.read_text()))
