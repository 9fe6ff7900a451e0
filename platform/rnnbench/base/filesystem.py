"""What kind of file system a path lies on."""

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
# Shared between machines, so that SQLite's write-ahead log and locks do not hold there.
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|lustre|gpfs|beegfs|ceph|glusterfs|afs|ocfs2|orangefs|panfs|wekafs"
    r"|fuse\.(sshfs|glusterfs|ceph\S*|s3fs|gcsfuse|rclone|smbnetfs|juicefs)"
)


def network_filesystem(path: Path, mounts: str | None = None) -> str | None:
    """The kind of network file system that a path, existing or not, lies on; None on a local disk or where nothing is known.

    Args:
        mounts: A table of mounts in the form of Linux's mountinfo, instead of this machine's.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
    place = path.resolve()
    best, found = -1, ""
    for line in mounts.splitlines():
        fields = line.split()
        if "-" not in fields[5:]:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # Of two mounts on one place the later covers the earlier.
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), fields[fields.index("-", 5) + 1]
    return found if _NETWORK.fullmatch(found) else None
