"""The files of the repository as the architecture tests read them: text, and the modules each one imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = ROOT / "platform" / "rnnbench"
FOLDERS = ("platform", "tasks", "search_spaces", "tests", "deploy", "benchmarks", "docs", ".ci")
TEXT_SUFFIXES = {"", ".cfg", ".html", ".j2", ".json", ".mako", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}


def find_texts() -> Iterator[Path]:
    """Every text file that people write, caches left out."""
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    for path in (*ROOT.iterdir(), *inside):
        if path.is_file() and path.suffix in TEXT_SUFFIXES and "__pycache__" not in path.parts and path.name != ".git":
            yield path


def find_modules() -> list[Path]:
    """Every Python file of the platform and the tasks."""
    return sorted([*PLATFORM.rglob("*.py"), *(ROOT / "tasks").rglob("*.py")])


def shown(path: Path) -> str:
    """The path as messages say it, from the repository's root."""
    return path.relative_to(ROOT).as_posix()


def read_imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names


def find_importers(library: str) -> list[str]:
    """The files of platform and tasks that import a library, as `shown` says them."""
    return [shown(path) for path in find_modules() if any(name.split(".")[0] == library for name in read_imports(path))]
