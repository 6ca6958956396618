"""Run the notebooks of this folder: ``python docs/notebooks/execute.py`` writes their outputs.

A notebook is JSON, and its cells are executed here by Python itself, one after the other in this
process. nbclient would start a kernel for each, which takes longer than the cells do and brings
twenty-five packages along.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import linecache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def executed(path: Path) -> dict[str, Any]:
    """The notebook with the outputs of its code cells; what a cell raises is raised."""
    notebook: dict[str, Any] = json.loads(path.read_text())
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, start=1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = _value(_text(cell["source"]), f"<{path.stem}, cell {number}>", names)
        cell["execution_count"] = number
        cell["outputs"] = [*_printed(printed.getvalue()), *_shown(value, number)]
    return notebook


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _value(text: str, name: str, names: dict[str, Any]) -> Any:
    """Of the last line where it is an expression, as a notebook shows it; ``inspect`` finds the
    source of what a cell defines."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    tree = ast.parse(text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), name, "eval"), names)


def _printed(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": text}] if text else []


def _shown(value: Any, number: int) -> list[dict[str, Any]]:
    if value is None:
        return []
    data = {"text/plain": repr(value)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_()
    elif hasattr(value, "savefig"):
        image = io.BytesIO()
        value.savefig(image, format="png", dpi=110, facecolor="white")
        data = {"text/plain": "<Figure>"}
        data["image/png"] = base64.b64encode(image.getvalue()).decode()
    made = {"output_type": "execute_result", "metadata": {}, "execution_count": number}
    return [{**made, "data": data}]


def main() -> None:
    for path in sorted(HERE.glob("*.ipynb")):
        path.write_text(json.dumps(executed(path), indent=1) + "\n")


if __name__ == "__main__":
    main()
