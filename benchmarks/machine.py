"""What a table of measurements must say about where it was made."""

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def processor():
    """The name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def machine(*packages):
    """Processor, cores, load, date and versions, in one line.

    Args:
        packages: names of distributions; of several that are one library (`tensorflow`, `tensorflow-cpu`) the
            installed one is named.
    """
    found = [f"Python {platform.python_version()}"]
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{processor()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the end; "
        f"{datetime.date.today()}; {', '.join(found)}"
    )
