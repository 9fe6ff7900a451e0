"""The image of deploy/docker, built and run by buildah on Debian's own Python: no engine, no registry of images."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.manifests import DEPLOY, ROOT

NEEDED = ("buildah", "debootstrap")
# Besides what the image copies, what must not enter it: see SECRET.
CONTEXT = (
    ".dockerignore",
    "constraints.txt",
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    "platform",
    "tasks",
    "search_spaces",
    "deploy",
)
SECRET = "only-the-owner-may-know-this"
# Where certificates are, for those who reach a registry of packages by their own.
CERTIFICATES = "/etc/ssl/certs"
# What nothing else needs of pip's settings: paths are mounted, and constraints are the image's own.
_OWN_SETTINGS = ("constraint",)


@dataclass(frozen=True)
class Buildah:
    """Images and containers in a folder of their own."""

    folder: Path

    def call(self, *words: str | Path, timeout: float = 120) -> str:
        """What a command of buildah says.

        Raises:
            AssertionError: it failed; the text is what it wrote.
        """
        done = self._run(words, timeout)
        assert done.returncode == 0, (
            f"buildah {' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
        return done.stdout.strip()

    def run(self, container: str, *words: str, user: str | None = None, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A program in a container, as the image's own user unless another is named, and in its folder."""
        options = ["--isolation", "chroot", *([f"--user={user}"] if user else [])]
        return self._run(("run", *options, container, "--", *words), timeout)

    @contextmanager
    def container(self, image: str) -> Iterator[str]:
        """A container of an image; what was written in it goes with it."""
        name = self.call("from", "--pull-never", image).splitlines()[-1]
        try:
            yield name
        finally:
            self.call("rm", name)

    def _run(self, words: Sequence[str | Path], timeout: float) -> subprocess.CompletedProcess[str]:
        place = ["--root", self.folder / "storage", "--runroot", self.folder / "run", "--storage-driver", "overlay"]
        return subprocess.run(["buildah", *map(str, [*place, *words])], capture_output=True, text=True, timeout=timeout, check=False)


def build_image(buildah: Buildah) -> str:
    """The name of an image of this tree as it is now, with secrets beside it that must stay out."""
    folder = buildah.folder
    dockerfile = DEPLOY / "docker" / "Dockerfile"
    found = re.search(r"^FROM python:\$\{PYTHON\}-slim-(\w+)$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    version = _build_python(buildah, found[1])
    context = folder / "context"
    for name in CONTEXT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            context.mkdir(exist_ok=True)
            shutil.copy(source, context / name)
    for name in ("deploy/compose/.env", "deploy/kuberay/base/secrets/rnnbench.env", "runs/rnnbench.db", "notes.txt"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(SECRET)
    arguments = [f"--build-arg=PYTHON={version}", *(f"--build-arg=TORCH={torch}" for torch in [os.environ.get("TORCH")] if torch)]
    options = ["--isolation", "chroot", "--network", "host", *_mount_packages(folder), *arguments]
    buildah.call("bud", *options, "-f", context / "deploy" / "docker" / "Dockerfile", "-t", "rnnbench:test", context, timeout=1500)
    return "localhost/rnnbench:test"


def _build_python(buildah: Buildah, suite: str) -> str:
    """Makes what the Dockerfile starts from, under its name, of Debian and its Python; gives the version."""
    root = buildah.folder / "debian"
    _call("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", suite, root, timeout=900)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    version = _call("chroot", root, "python3", "-c", "import platform; print(platform.python_version())", timeout=60)
    container = buildah.call("from", "scratch").splitlines()[-1]
    buildah.call("add", "--quiet", container, root, "/")
    buildah.call("commit", "--rm", "--quiet", container, f"docker.io/library/python:{version}-slim-{suite}")
    shutil.rmtree(root)
    return version


def _mount_packages(folder: Path) -> list[str]:
    """Options by which pip finds packages in the build as it does here, be it by other addresses or in folders of this machine."""
    lines, mounted = ["[global]"], {CERTIFICATES}
    settings: dict[str, str] = {}
    for line in _call(sys.executable, "-m", "pip", "config", "list", timeout=60).splitlines():
        if match := re.fullmatch(r"(?:global|:env:)\.([\w-]+)='(.*)'", line):
            settings[match[1]] = match[2]
    for name, value in settings.items():
        if name not in _OWN_SETTINGS:
            lines.append(f"{name} = {value}")
            # An index's pages lead to files beside it.
            mounted |= {str(Path(word.removeprefix("file://")).parent) for word in value.split() if word.startswith("file:///")}
            mounted |= {word for word in value.split() if word.startswith("/")}
    (folder / "pip.conf").write_text("\n".join(lines) + "\n")
    places = sorted(place for place in mounted if Path(place).is_dir())
    return [f"--volume={folder / 'pip.conf'}:/etc/pip.conf:ro", *(f"--volume={place}:{place}:ro" for place in places)]


def _call(*words: str | Path, timeout: float) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


@contextmanager
def open_buildah() -> Iterator[Buildah]:
    """A folder for images, gone with all that was built in it."""
    # Not below pytest's folder, whose long names overlays do not take.
    folder = Path(tempfile.mkdtemp(prefix="rnnbench-image-"))
    buildah = Buildah(folder)
    try:
        yield buildah
    finally:
        try:
            buildah.call("rm", "--all")
            buildah.call("rmi", "--all", "--force")
        finally:
            _unmount_below(folder)
            shutil.rmtree(folder)


def _unmount_below(folder: Path) -> None:
    """Unmounts what an interrupted build left: through it, removing the folder would reach into what is mounted there."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in sorted((place for place in mounted if Path(place).is_relative_to(folder)), key=len, reverse=True):
        _call("umount", "--lazy", place, timeout=60)
