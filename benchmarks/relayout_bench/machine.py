# SPDX-License-Identifier: Apache-2.0
"""What the numbers were measured on."""

import os
import platform
import subprocess
from pathlib import Path


def _first_value(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _file_system_of(folder: Path) -> str:
    command = ["stat", "-f", "-c", "%T", str(folder)]
    return subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()


def describe(folder: Path) -> dict[str, str]:
    memory_kib = int((_first_value("/proc/meminfo", "MemTotal") or "0 kB").split()[0])
    return {
        "processor": _first_value("/proc/cpuinfo", "model name") or platform.machine(),
        "processors": str(os.cpu_count()),
        "memory": f"{memory_kib / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "file system": _file_system_of(folder),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def memcpy_bytes_per_second(probe: Path) -> float:
    return float(subprocess.run([str(probe)], check=True, stdout=subprocess.PIPE).stdout)
