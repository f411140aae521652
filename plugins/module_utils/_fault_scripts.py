# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What runs inside the containers of a drill: programs for the Python of our images, as argument lists. Pure."""

from __future__ import annotations

import base64
import json
import re
import typing as t
import uuid

SESSION = "projects/-drill/{nonce}.jsonl"

# From within its container a process 1 ignores SIGKILL (pid_namespaces(7)). The kernel's own SIGKILL for a spent limit
# of CPU seconds it does not; so the limit is set to what is spent already, or to a second, which requests use up.
_KILL = """
import os, resource, socket
spent = open("/proc/1/stat").read().rpartition(")")[2].split()
limit = max(1, int((int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")))
resource.prlimit(1, resource.RLIMIT_CPU, (limit, limit))
ask = b"GET /metrics HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n" * 20
while True:
    with socket.create_connection(("127.0.0.1", int(os.environ["HEALTH_PORT"])), 5) as line:
        line.settimeout(5)
        try:
            for _ in range(20):
                line.sendall(ask)
                line.recv(1 << 20)
        except OSError:
            pass
"""

# Where the kernel kills one process and not the whole group (cgroup v1, or v2 without memory.oom.group), it is the one
# with the most memory of its own, scores included. That is to be the watcher: it has the higher score, and this program
# stays small. What it takes is shared memory, which needs no file system. It counts for the container as long as it is
# mapped, and for a process only while its page table points there, which MADV_DONTNEED ends. It is filled by page
# faults, since at the limit older kernels answer a system call with an error and kill nobody. Process 1 takes this
# program with it, and so all that was taken. One process only: of many that wait at the limit each spends CPU.
_OOM = """
import mmap
with open("/proc/1/oom_score_adj", "w") as file:
    file.write("1000")
piece, held = b"x" * (1 << 20), []
while True:
    part = mmap.mmap(-1, len(piece))
    part.write(piece)
    part.madvise(mmap.MADV_DONTNEED)
    held.append(part)
"""

_STOP = "import os, signal; os.kill(1, signal.SIGTERM)"

# argv: folder, file below it, mode (append, truncate, replace), text. To write the same twice is to write it once.
_WRITE = """
import os, sys
folder, name, mode, text = sys.argv[1:]
path = os.path.join(folder, name)
os.makedirs(os.path.dirname(path), exist_ok=True)
if mode == "replace":
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)
else:
    with open(path, "a+" if mode == "append" else "w+") as file:
        file.seek(0)
        if mode == "truncate" or not file.read().endswith(text):
            file.write(text)
"""

# argv: text. Prints the bridge's status for it, and the status of its /healthz.
_POST = """
import http.client, os, sys
port = int(os.environ["PORT"])
for method, path, body in (("POST", "/input", sys.argv[1]), ("GET", "/healthz", None)):
    call = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    call.request(method, path, body)
    print(call.getresponse().status)
"""

# argv: path of the FIFO, seconds. Prints the first line that comes.
_READ = """
import os, select, sys
line = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
if select.select([line], [], [], float(sys.argv[2]))[0]:
    print(os.read(line, 4096).decode())
"""


def _python(program: str, *arguments: str) -> list[str]:
    return ["python3", "-I", "-c", program, *arguments]


def kill() -> list[str]:
    """End process 1 of the watcher's container by SIGKILL."""
    return _python(_KILL)


def take_memory() -> list[str]:
    """Take memory until the container's limit kills."""
    return _python(_OOM)


def stop() -> list[str]:
    """End process 1 of a container of ours as the kubelet does."""
    return _python(_STOP)


Mode = t.Literal["append", "truncate", "replace"]


def write(folder: str, name: str, text: str, mode: Mode) -> list[str]:
    """Write to a file below the transcript folder."""
    return _python(_WRITE, folder, name, mode, text)


def post(text: str) -> list[str]:
    """Post a text to the bridge, in its container."""
    return _python(_POST, text)


def read_fifo(path: str, wait_s: float) -> list[str]:
    """Read one line as the agent would."""
    return _python(_READ, path, f"{wait_s:g}")


def row(marker: str, *, at: str) -> str:
    """A line of a transcript that the default filters show, its marker in it; the same line for the same marker."""
    message = {
        "id": f"msg_{marker}",
        "type": "message",
        "role": "assistant",
        "model": "drill",
        "content": [{"type": "text", "text": f"Complete: {marker}"}],
    }
    envelope = {"type": "assistant", "sessionId": "drill", "cwd": "/", "version": "1", "timestamp": at}
    return json.dumps({**envelope, "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, marker)), "message": message}) + "\n"


def other_webhook(encoded: str) -> str:
    """The URL in a Secret's data with the id of another webhook, a fifth of a billion further."""
    url = base64.b64decode(encoded).decode()
    return re.sub(r"/webhooks/(\d+)/", lambda found: f"/webhooks/{int(found[1]) + 200_000_000}/", url)
