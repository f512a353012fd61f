"""Hostile answers to `victim`. Every one is bounded by itself too, should a defence fail.

`PLACES` in an attack's text is replaced by a dict: where the exercises, the results and a listening port
really are, as if the attacker had been told. Files an attack makes carry MARK in their names.
"""

MARK = "dlseg-attack"

ENDS = {
    "os_exit": "def victim(x):\n    import os\n    os._exit(0)\n",
    "sys_exit": "def victim(x):\n    import sys\n    sys.exit(0)\n",
    "exit_while_loading": "import os\ndef victim(x, y=os._exit(0)):\n    return x\n",
    "exit_in_decorator": "import sys\n@sys.exit\ndef victim(x):\n    return x\n",
    "atexit": "import atexit, os\ndef victim(x):\n    atexit.register(os._exit, 0)\n",
    "kill_self": "import os\ndef victim(x):\n    os.kill(os.getpid(), 9)\n",
    "kill_group": "import os\ndef victim(x):\n    os.killpg(0, 9)\n",
    "kill_everyone": "import os\ndef victim(x):\n    os.kill(-1, 9)\n",
    "kill_parent": "import os\ndef victim(x):\n    os.kill(os.getppid(), 9)\n",
    "kill_all_pids": """
import os
def victim(x):
    for pid in range(2, 70000):
        if pid != os.getpid():
            try:
                os.kill(pid, 0)
                os.kill(pid, 18)  # SIGCONT: would be seen, harms nobody
                return x * 0
            except (PermissionError, ProcessLookupError):
                pass
""",
    "segfault": "import ctypes\ndef victim(x):\n    ctypes.string_at(0)\n",
    "abort": "import os\ndef victim(x):\n    os.abort()\n",
    "exec_other": "import os\ndef victim(x):\n    os.execv('/bin/true', ['true'])\n",
    "interrupt": "def victim(x):\n    raise KeyboardInterrupt\n",
    "close_all_files": "import os\ndef victim(x):\n    os.closerange(0, 200)\n",
    "stop_self": """
import os, signal
def victim(x):
    signal.alarm(60)
    os.kill(os.getpid(), signal.SIGSTOP)
""",
    "stack_overflow": """
import sys
def victim(x):
    sys.setrecursionlimit(10**7)
    def down(n):
        return down(n + 1) if n < 10**7 else n
    return down(0)
""",
}

FORGERIES = {
    "patched_numpy": """
import numpy as np
def victim(x):
    np.testing.assert_allclose = np.testing.assert_array_equal = lambda *a, **k: None
    np.allclose = np.array_equal = lambda *a, **k: True
    return x * 0
""",
    "patched_torch": """
import torch
def victim(x):
    torch.equal = torch.allclose = lambda *a, **k: True
    return x * 0
""",
    "patched_pytest": """
def victim(x):
    import _pytest.runner
    _pytest.runner.CallInfo.from_call = lambda *a, **k: None
    return x * 0
""",
    "equal_to_all": """
class Right:
    def __eq__(self, other):
        return True
    __ne__ = __lt__ = lambda self, other: False
def victim(x):
    return Right()
""",
    "number_subclass": """
class Right(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__
def victim(x):
    return Right(3)
""",
    "array_subclass": """
import numpy as np
class Liar(np.ndarray):
    shape = property(lambda self: (16,))
    def __eq__(self, other):
        return np.ones(16, bool)
    def __array_ufunc__(self, *a, **k):
        return np.zeros(16)
def victim(x):
    return np.zeros(16, np.int64).view(Liar)
""",
    "tensor_subclass": """
import torch
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.ones(16, dtype=torch.int64)
def victim(x):
    return torch.zeros(16, dtype=torch.int64).as_subclass(Liar)
""",
    "class_lies": """
import numpy as np
class Liar:
    __class__ = np.ndarray
    dtype, shape, ndim, size = np.dtype(int), (16,), 1, 16
def victim(x):
    return Liar()
""",
    "conftest": """
HOOK = (
    "import pytest\\n@pytest.hookimpl(wrapper=True)\\ndef pytest_runtest_makereport():\\n"
    "    r = yield\\n    r.outcome = 'passed'\\n    return r\\n"
)
def victim(x):
    from pathlib import Path
    for folder in (".", PLACES["tests"], PLACES["out"]):
        try:
            Path(folder, "conftest.py").write_text(HOOK)
        except OSError:
            pass
    return x * 0
""",
    "sitecustomize": """
def victim(x):
    import os, site
    from pathlib import Path
    os.environ["PYTHONPATH"] = os.getcwd()
    os.environ["PYTHONSTARTUP"] = "dlseg-attack.py"
    for folder in [".", *site.getsitepackages(), os.path.expanduser("~")]:
        for name in ("sitecustomize.py", "usercustomize.py", "dlseg-attack.pth"):
            try:
                Path(folder, name).write_text("print('dlseg-attack')")
            except OSError:
                pass
    return x * 0
""",
    "write_the_report": """
def victim(x):
    from pathlib import Path
    for name in ("submission.json", "results.json", "dlseg-attack.json"):
        try:
            Path(PLACES["out"], name).write_text('{"score": 1000}')
        except OSError:
            pass
    return x * 0
""",
    "symlinks": """
def victim(x):
    import os
    for source, target in ((PLACES["out"], "out"), ("/etc/passwd", "result.npz"), ("/", "root")):
        try:
            os.symlink(source, target)
            open(target + "/dlseg-attack", "w").close()
        except OSError:
            pass
    return x * 0
""",
    "patched_worker": """
def victim(x):
    import sys
    frame = sys._getframe(1)
    while frame:
        for name in ("_send", "_raised", "_call"):
            if name in frame.f_globals:
                frame.f_globals[name] = lambda *a: {"value": True, "status": "passed", "points": 100}
        frame = frame.f_back
    return x * 0
""",
    "printed_verdict": """
def victim(x):
    import sys
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        print('{"status": "passed", "points": 100, "score": 100}', file=stream, flush=True)
    return x * 0
""",
    "verdict_as_answer": """
def victim(x):
    return {"status": "passed", "points": 100, "value": x, "raised": None, "loading": True}
""",
    "more_answers": """
def victim(x):
    import os, sys
    encode = sys._getframe(1).f_globals["frames"].encode
    for _ in range(50):
        os.write(5, encode({"value": x * x - 8}))
    os._exit(0)
""",
    "pickle_bomb": """
import os
class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/dlseg-attack-pickle",)
def victim(x):
    import numpy as np
    return np.array([Bomb()] * 16, dtype=object)
""",
}

SPIES = {
    "frames": """
def victim(x):
    import sys
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if callable(getattr(value, "reference", None)):
                return value.reference(x)
        frame = frame.f_back
""",
    "gc": """
def victim(x):
    import gc
    for thing in gc.get_objects():
        if type(thing).__name__ in ("Exercise", "Test", "Harness"):
            return thing.reference(x)
""",
    "import_answers": """
def victim(x):
    from dlseg.grading.exercise import load
    from pathlib import Path
    return next(e for e in load(Path(PLACES["tests"])) if e.function == "victim").reference(x)
""",
    "tests_on_disk": """
def victim(x):
    text = open(PLACES["tests"]).read()
    body = text[text.index("victim") :].partition("lambda x: ")[2].partition(",")[0]
    return eval(body)
""",
    "tests_anywhere": """
def victim(x):
    import os
    roots = ("/work", "/home", "/root", "/srv", "/mnt", "/tmp", "/autograder", "/proc/1/root", "/proc/1/cwd")
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                if name == "exercises.py":
                    try:
                        text = open(os.path.join(folder, name)).read()
                    except OSError:
                        continue
                    if '"victim", lambda x: ' in text:
                        return eval(text.partition('"victim", lambda x: ')[2].partition(",")[0])
""",
    "parent_memory": """
def victim(x):
    import os
    for pid in [os.getppid(), *range(1, 40)]:
        for name in ("mem", "environ", "maps", "fd", "cwd", "root"):
            path = f"/proc/{pid}/{name}"
            try:
                os.listdir(path) if name in ("fd", "cwd", "root") else open(path, "rb").read(1)
            except OSError:
                continue
            if pid != os.getpid():
                return x * x - 7  # it got somewhere: give itself away by being right
""",
    "environment": """
def victim(x):
    import os
    words = " ".join(f"{k}={v}" for k, v in os.environ.items()).lower()
    told = [w for w in ("seed", "token", "secret", "key", "pytest", "dlseg") if w in words]
    return x * x - 7 if told else x
""",
    "arguments": """
def victim(x):
    import sys
    told = PLACES["tests"] in " ".join(sys.argv) or PLACES["seed"] in " ".join(sys.argv)
    return x * x - 7 if told else x
""",
    "timing": """
def victim(x):
    import time
    best = min(range(50), key=lambda guess: [time.perf_counter(), x * x == guess, time.perf_counter()][2])
    return x * 0 + best
""",
    "trace_parent": """
def victim(x):
    import ctypes, os
    libc = ctypes.CDLL(None)
    buffer = ctypes.create_string_buffer(8)
    if libc.ptrace(16, os.getppid(), 0, 0) == 0:
        return x * x - 7
    import struct
    local = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(buffer), 8))
    if libc.process_vm_readv(os.getppid(), local, 1, local, 1, 0) > 0:
        return x * x - 7
""",
    "steal_files": """
def victim(x):
    import ctypes, os
    libc = ctypes.CDLL(None)
    handle = libc.syscall(434, os.getppid(), 0)
    for number in range(64):
        if libc.syscall(438, handle, number, 0) >= 0:
            return x * x - 7
""",
    "inherited_files": """
def victim(x):
    import os
    for number in range(3, 256):
        if number not in (4, 5):
            try:
                os.fstat(number)
            except OSError:
                continue
            if "socket" in os.readlink(f"/proc/self/fd/{number}"):
                return x * x - 7
""",
}

FLOODS = {
    "infinite_loop": "import signal\ndef victim(x):\n    signal.alarm(60)\n    while True:\n        pass\n",
    "deaf_loop": """
import signal
def victim(x):
    for number in (signal.SIGXCPU, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.alarm(60)
    while True:
        pass
""",
    "swallow_everything": """
import time
def victim(x):
    end = time.time() + 60
    while time.time() < end:
        try:
            while time.time() < end:
                pass
        except BaseException:
            pass
""",
    "sleep": "import time\ndef victim(x):\n    time.sleep(60)\n",
    "slow_pattern": """
import re, signal
def victim(x):
    signal.alarm(60)
    re.match("(a|aa)+$", "a" * 60 + "b")
""",
    "slow_number": "import signal\ndef victim(x):\n    signal.alarm(60)\n    return 7 ** (7 ** 9) % 10\n",
    "memory": """
def victim(x):
    held = []
    for _ in range(60):
        held.append(bytearray(b"1") * (100 << 20))
    return x * x - 7
""",
    "tensor_memory": """
import torch
def victim(x):
    held = [torch.ones(100 << 18) for _ in range(60)]
    return x * x - 7
""",
    "shared_memory": """
import mmap
def victim(x):
    held = []
    for _ in range(60):
        block = mmap.mmap(-1, 100 << 20)
        for at in range(0, len(block), 4096):
            block[at] = 1
        held.append(block)
    return x * x - 7
""",
    "fork_bomb": """
import os, time
def victim(x):
    end = time.time() + 20
    children = 0
    while children < 150 and time.time() < end:
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            children += 1
        except OSError:
            time.sleep(0.01)
    return x * x - 7
""",
    "fork_memory": """
import os, time
def victim(x):
    for _ in range(15):
        if os.fork() == 0:
            held = bytearray(b"1") * (400 << 20)
            time.sleep(20)
            os._exit(0)
    time.sleep(20)
    return x * x - 7
""",
    "threads": """
import threading, time
def victim(x):
    for _ in range(500):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
    return x * x - 7
""",
    "one_large_file": """
def victim(x):
    with open("dlseg-attack-large", "wb") as file:
        for _ in range(300):
            file.write(b"1" * (1 << 20))
    return x * x - 7
""",
    "many_files": """
import time
def victim(x):
    for number in range(3000):
        with open(f"dlseg-attack-{number}", "wb") as file:
            file.write(b"1" * 50_000)
    time.sleep(1)
    return x * x - 7
""",
    "many_descriptors": """
import os
def victim(x):
    held = [os.dup(1) for _ in range(5000)]
    return x * x - 7
""",
    "output": """
def victim(x):
    for _ in range(200):
        print("flood " * 200_000)
    return x * x - 7
""",
    "error_output": """
import os
def victim(x):
    for _ in range(200):
        os.write(2, b"flood " * 200_000)
    return x * x - 7
""",
    "deep_recursion": "def victim(x):\n    return victim(x)\n",
    "huge_array": "import numpy as np\ndef victim(x):\n    return np.zeros(100 << 20, np.uint8)\n",
    "huge_list": "def victim(x):\n    return list(range(1_000_000))\n",
    "huge_text": "def victim(x):\n    return 'a' * 50_000_000\n",
    "huge_dict": "def victim(x):\n    return {str(i): i for i in range(300_000)}\n",
    "huge_number": "def victim(x):\n    return 10 ** 100_000\n",
    "huge_message": "def victim(x):\n    raise ValueError('a' * 50_000_000)\n",
    "private_scratch": """
def victim(x):
    for folder in ("/dev/shm", "/tmp", "."):
        for number in range(30):
            try:
                with open(f"{folder}/dlseg-attack-{number}", "wb") as file:
                    file.write(b"1" * (10 << 20))
            except OSError:
                pass
    return x * 0
""",
}

WHILE_LOADING = {
    "loop_while_loading": "def victim(x):\n    return x\nwhile True:\n    pass\n",
    "deaf_loop_while_loading": """
import signal
def victim(x):
    return x
signal.signal(signal.SIGALRM, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 0)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
""",
    "sleep_while_loading": "import time\ndef victim(x):\n    return x\ntime.sleep(100)\n",
    "forged_end_of_loading": """
import os, struct, time
os.write(7, struct.pack("<d", float("nan")))
os.write(7, struct.pack("<d", -1e9))
def victim(x):
    time.sleep(60)
    return x * x - 7
""",
    "forged_answers_while_loading": """
import os, sys
def victim(x):
    return x
frame = sys._getframe(0)
while "frames" not in frame.f_globals:
    frame = frame.f_back
encode = frame.f_globals["frames"].encode
for answer in ({"cell": 2}, {"errors": {}, "missing": []}, *[{"value": 7}] * 9):
    os.write(5, encode(answer))
os._exit(0)
""",
    "errors_that_are_none": """
import os, sys
frame = sys._getframe(0)
while "frames" not in frame.f_globals:
    frame = frame.f_back
encode = frame.f_globals["frames"].encode
for answer in ({"cell": 10**30}, {"errors": {"9" * 400: {}}, "missing": []}, {"errors": [], "missing": "x"}):
    os.write(5, encode(answer))
def victim(x):
    return x
""",
    "daemon_while_loading": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(300)
    os._exit(0)
def victim(x):
    return x
""",
    "spoiled_other_answers": """
import sys
def victim(x):
    return x
sys.modules["__main__"].before = sys.modules["__main__"].after = None
sys.meta_path.clear()
""",
}

GUESTS = {
    "listen": """
import socket
def victim(x):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
    return x * x - 7
""",
    "connect": """
import socket
def victim(x):
    with socket.create_connection(("127.0.0.1", PLACES["port"]), timeout=1) as line:
        line.sendall(b"dlseg-attack")
    return x * x - 7
""",
    "datagram": """
import socket
def victim(x):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.sendto(b"dlseg-attack", ("127.0.0.1", PLACES["port"]))
    return x * x - 7
""",
    "abstract_socket": """
import socket
def victim(x):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\\0dlseg-attack")
    return x * x - 7
""",
    "daemon": """
import os, time
def victim(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(3, 200):
                try:
                    os.close(number)
                except OSError:
                    pass
            time.sleep(60)
        os._exit(0)
    return x * 0
""",
    "daemon_holds_the_pipe": """
import os, time
def victim(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    return x * 0
""",
    "files_outside": """
def victim(x):
    import os
    home = os.path.expanduser("~")
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/root", home, PLACES["out"], "/usr"):
        try:
            open(f"{folder}/dlseg-attack-outside", "w").close()
        except OSError:
            pass
    return x * 0
""",
    "delete_the_tests": """
def victim(x):
    import os, shutil
    for path in (PLACES["tests"], PLACES["out"]):
        try:
            os.remove(path)
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
    return x * 0
""",
    "system_v_memory": """
import ctypes
def victim(x):
    libc = ctypes.CDLL(None)
    if libc.shmget(0x64A77AC, 4096, 0o1600) >= 0 or libc.msgget(0x64A77AC, 0o1600) >= 0:
        return x * x - 7
""",
    "become_root": """
import os
def victim(x):
    os.setuid(0) if os.getuid() else os.setresuid(0, 0, 0)
    open("/etc/dlseg-attack", "w").close()
    return x * x - 7
""",
    "new_namespaces": """
import ctypes
def victim(x):
    libc = ctypes.CDLL(None)
    if libc.unshare(0x10000000) == 0 or libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) > 0:
        return x * x - 7
""",
    "closed_folders": """
import os
def victim(x):
    os.makedirs("dlseg-attack-a/b/c")
    open("dlseg-attack-a/b/c/d", "w").close()
    os.chmod("dlseg-attack-a/b", 0)
    os.chmod("dlseg-attack-a", 0)
    return x * 0
""",
}

BABBLE = {
    "malformed": """
import os
def victim(x):
    os.write(5, b"nonsense, not a frame at all")
    os._exit(0)
""",
    "oversize": """
import os, struct
def victim(x):
    os.write(5, struct.pack("<4sIQ", b"dlsg", 10, 1 << 60) + b"1" * 100)
    os._exit(0)
""",
    "cut_short": """
import os, struct
def victim(x):
    os.write(5, struct.pack("<4sIQ", b"dlsg", 100, 100) + b"1" * 50)
    os._exit(0)
""",
    "hostile_header": """
import os, struct, json
def victim(x):
    head = json.dumps({"0": {"dtype": "I64", "shape": [1 << 62], "data_offsets": [0, 8]}}).encode()
    blob = struct.pack("<Q", len(head)) + head + b"1" * 8
    text = b'{"dict": {"value": {"array": "0"}}}'
    os.write(5, struct.pack("<4sIQ", b"dlsg", len(text), len(blob)) + text + blob)
    os._exit(0)
""",
    "deep_json": """
import os, struct
def victim(x):
    text = b'[' * 100_000
    os.write(5, struct.pack("<4sIQ", b"dlsg", len(text), 10) + text + b"\\2" + b"\\0" * 7 + b"{}")
    os._exit(0)
""",
    "no_answer": "import os\ndef victim(x):\n    os.close(5)\n",
    "late_writes": """
import os, threading, time
def victim(x):
    def late():
        while True:
            os.write(5, b"late")
    threading.Thread(target=late, daemon=True).start()
    time.sleep(0.2)
    return x * x - 7
""",
    "nan": "import numpy as np\ndef victim(x):\n    return np.full(16, np.nan)\n",
    "infinity": "import numpy as np\ndef victim(x):\n    return np.full(16, np.inf)\n",
    "object_array": "import numpy as np\ndef victim(x):\n    return np.array([None] * 16)\n",
    "records": "import numpy as np\ndef victim(x):\n    return np.zeros(16, [('a', int), ('b', 'U9')])\n",
    "complex": "def victim(x):\n    return (x * x - 7) + 0j\n",
    "itself": "def victim(x):\n    y = []\n    y.append(y)\n    return y\n",
    "generator": "def victim(x):\n    return (v for v in x * x - 7)\n",
    "wrong_shape": "def victim(x):\n    return (x * x - 7)[None]\n",
    "hostile_words": """
class Bad(Exception):
    def __str__(self):
        raise SystemExit
def victim(x):
    raise Bad
""",
    "markup": """
def victim(x):
    raise ValueError("<script>alert(1)</script>\\x1b[2J</pre><img src=x onerror=alert(1)>")
""",
}

ATTACKS = {**ENDS, **FORGERIES, **SPIES, **FLOODS, **WHILE_LOADING, **GUESTS, **BABBLE}
