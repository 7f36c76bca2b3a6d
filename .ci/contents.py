"""Checks that a wheel and an sdist have the files they must have, and no others.

``python .ci/contents.py FOLDER``, in a clone: the wheel has each file of leandask/ that
git knows, the sdist each file at all.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

#: What a clone has and an sdist does not need.
ONLY_IN_CLONE = {".gitignore"}
#: What the build adds to an sdist.
MADE = ("PKG-INFO", "leandask.egg-info/")


def files_of(wheel: Path) -> set[str]:
    """Return the files of a wheel that are not metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    return {name for name in names if ".dist-info/" not in name}


def sources_of(sdist: Path) -> set[str]:
    """Return the files of an sdist, without what the build adds."""
    with tarfile.open(sdist) as archive:
        paths = [m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()]
    return {path for path in paths if not path.startswith(MADE)}


def check(what: Path, found: set[str], expected: set[str]) -> list[str]:
    """Return a line for each file that is missing or that does not belong there."""
    lines = [f"{what.name} has not {name}" for name in sorted(expected - found)]
    return lines + [f"{what.name} has {name}" for name in sorted(found - expected)]


def main(folder: str) -> int:
    """Print what is wrong, and return the exit code."""
    listed = subprocess.check_output(["git", "ls-files"], text=True).splitlines()
    known = {name for name in listed if Path(name).exists()} - ONLY_IN_CLONE
    [wheel], [sdist] = Path(folder).glob("*.whl"), Path(folder).glob("*.tar.gz")
    package = {name for name in known if name.startswith("leandask/")}
    wrong = check(wheel, files_of(wheel), package)
    wrong += check(sdist, sources_of(sdist), known)
    print("\n".join(wrong) or f"{len(package)} files in the wheel, as in the clone")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
