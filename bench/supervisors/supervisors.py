"""The supervisors: how each is told of the beacons, started, and told to stop one.

Each runs with its defaults but for what it needs to run at all, and a stop deadline of
`STOP_MAX_S` where it has such a thing.
"""

import json
import os
import shutil
import subprocess
import time

from measure import descendants, everyone, kill

STOP_MAX_S = 2


class Supervisor:
    name = "?"
    note = ""
    start_max_s = 120
    has_stop_max = True
    program = None  # what must be on PATH, if nothing is given by an option

    def __init__(self, options, port):
        self.options, self.port = options, port
        self.directory = os.path.join(options.work, "run-" + self.name)
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)

    @classmethod
    def is_there(cls, options):
        return shutil.which(cls.program) is not None

    def arguments(self, index, mode):
        words = [str(index), str(self.port)]
        return words if mode == "sleep" else words + [mode]

    def command(self, index, mode):
        return " ".join([self.options.beacon, *self.arguments(index, mode)])

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    def prepare(self, count, mode):
        raise NotImplementedError

    def words(self):
        """The command line that starts it."""
        raise NotImplementedError

    def environment(self):
        return {}

    def start(self):
        self.process = subprocess.Popen(
            self.words(), env={**os.environ, **self.environment()}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.root = self.process.pid

    def pids(self):
        """Its processes: itself, and what it started that is no beacon."""
        return [self.root] + [pid for pid, name in descendants(self.root) if name != "beacon"]

    def stop_words(self, index):
        """The command line that stops one beacon; none if there is no such thing."""
        return None

    def forgive(self, index):
        """Makes it forget that a beacon was killed, if it holds that against it for long."""

    def teardown(self):
        kill(self.root, *(pid for pid, _ in descendants(self.root)))
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        for _ in range(5):  # what was reparented, or started a child meanwhile
            left = self.strays()
            if not left:
                return
            kill(*left)
            time.sleep(0.5)

    def strays(self):
        """Our beacons on this port, and whatever works in this run's directory."""
        found = []
        for pid in everyone():
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    words = file.read().split("\0")
                place = os.readlink(f"/proc/{pid}/cwd")
            except OSError:
                continue
            ours = words[0] == self.options.beacon and str(self.port) in words
            if pid != os.getpid() and (ours or place.startswith(self.directory + "/")):
                found.append(pid)
        return found


class Floor(Supervisor):
    name = "floor-c"
    has_stop_max = False

    @classmethod
    def is_there(cls, options):
        return True

    def prepare(self, count, mode):
        self.line = [self.options.floor, str(count), str(self.port), self.options.beacon, mode]

    def words(self):
        return self.line


class TokioFloor(Floor):
    name = "floor-tokio"

    def prepare(self, count, mode):
        super().prepare(count, mode)
        self.line[0] = self.options.tokio_floor


class Castellan(Supervisor):
    name = "castellan"

    @classmethod
    def is_there(cls, options):
        return bool(options.castellan)

    def prepare(self, count, mode, ports=()):
        """With `ports`, each beacon serves HTTP on one of them and is looked at each 10 s."""
        self.socket = self.directory + "/home/run/castellan.sock"
        # None of the others has one.
        text = "[castellan]\ndeadman = false\n"
        for index in range(count):
            arguments = self.arguments(index, mode)
            text += f'[component.b{index}]\nprogram = "{self.options.beacon}"\nstop_max = "{STOP_MAX_S}s"\n'
            if ports:
                arguments.append(str(ports[index]))
                text += f'port = {ports[index]}\nready = {{ http = "/health", body = "ok" }}\nlive = {{ every = "10s" }}\n'
            text += f"arguments = {json.dumps(arguments)}\n"
        self.write("home/sanctum.toml", text, 0o600)
        os.chmod(self.directory + "/home", 0o700)

    def words(self):
        home, cache = self.directory + "/home", self.directory + "/cache"
        return [self.options.castellan, "--home", home, "--cache", cache, "--only-declared"]

    def call(self, *words):
        return ["curl", "--silent", "--fail", "--max-time", "10", "--unix-socket", self.socket, *words]

    def order(self, index, verb):
        return self.call("-X", "POST", f"http://castellan/v1/components/b{index}/{verb}")

    def stop_words(self, index):
        return self.order(index, "stop")

    def forgive(self, index):
        """A crash counts for a minute; a restart by order forgets it."""
        subprocess.run(self.order(index, "restart"), capture_output=True)

    def snapshot(self):
        """What it says is so; none while it says nothing."""
        answer = subprocess.run(self.call("http://castellan/v1/snapshot"), capture_output=True)
        return json.loads(answer.stdout) if answer.returncode == 0 else None


class Supervisord(Supervisor):
    name = "supervisord"
    program = "supervisord"

    def prepare(self, count, mode):
        place = self.directory
        os.makedirs(place + "/log", exist_ok=True)
        text = (
            f"[supervisord]\nnodaemon=true\nlogfile={place}/s.log\npidfile={place}/s.pid\n"
            f"childlogdir={place}/log\nminfds=20000\n"
            f"[unix_http_server]\nfile={place}/s.sock\n"
            f"[supervisorctl]\nserverurl=unix://{place}/s.sock\n[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        for index in range(count):
            text += (
                f"[program:b{index}]\ncommand={self.command(index, mode)}\nautorestart=true\n"
                f"stopwaitsecs={STOP_MAX_S}\n"
            )
        self.write("c.conf", text)

    def words(self):
        return ["supervisord", "-c", self.directory + "/c.conf"]

    def stop_words(self, index):
        return ["supervisorctl", "-c", self.directory + "/c.conf", "stop", f"b{index}"]


class Runit(Supervisor):
    name = "runit"
    program = "runsvdir"

    def prepare(self, count, mode):
        for index in range(count):
            self.write(f"svc/b{index}/run", f"#!/bin/sh\nexec {self.command(index, mode)}\n", 0o755)

    def words(self):
        return ["runsvdir", "-P", self.directory + "/svc"]

    def stop_words(self, index):
        return ["sv", "-w", str(STOP_MAX_S), "force-stop", f"{self.directory}/svc/b{index}"]


class S6(Runit):
    name = "s6"
    program = "s6-svscan"

    def prepare(self, count, mode):
        super().prepare(count, mode)
        for index in range(count):
            self.write(f"svc/b{index}/timeout-kill", f"{STOP_MAX_S * 1000}\n")

    def words(self):
        return ["s6-svscan", "-c", "2000", self.directory + "/svc"]

    def stop_words(self, index):
        return ["s6-svc", "-wd", "-d", f"{self.directory}/svc/b{index}"]


class Monit(Supervisor):
    name = "monit"
    note = "set daemon 1, its shortest cycle; Debian ships 120 s"
    program = "monit"
    has_stop_max = False

    def prepare(self, count, mode):
        place = self.directory
        text = (
            f"set daemon 1\nset logfile {place}/m.log\nset pidfile {place}/m.pid\nset idfile {place}/m.id\n"
            f"set statefile {place}/m.state\nset httpd unixsocket {place}/m.sock\n    allow user:pass\n"
        )
        for index in range(count):
            pid = f"{place}/svc/b{index}.pid"
            self.write(
                f"svc/start{index}",
                f"#!/bin/sh\nsetsid {self.command(index, mode)} </dev/null >/dev/null 2>&1 &\necho $! > {pid}\n",
                0o755,
            )
            text += (
                f'check process b{index} with pidfile {pid}\n  start program = "{place}/svc/start{index}"\n'
                f"  stop program = \"/bin/sh -c 'kill $(cat {pid})'\"\n"
            )
        self.write("monitrc", text, 0o600)

    def words(self):
        return ["monit", "-I", "-c", self.directory + "/monitrc"]

    def stop_words(self, index):
        return ["monit", "-c", self.directory + "/monitrc", "stop", f"b{index}"]


class Systemd(Supervisor):
    """A private `systemd --user` in mount and cgroup namespaces of its own: the code of pid 1, and
    nothing of the host touched. Needs root."""

    name = "systemd"
    note = "systemd --user, Restart=always, RestartSec=100ms as by default"
    restart = ""

    @classmethod
    def is_there(cls, options):
        return os.geteuid() == 0 and os.path.exists("/lib/systemd/systemd") and shutil.which("unshare") is not None

    def prepare(self, count, mode):
        shutil.rmtree(self.directory + "/units", ignore_errors=True)
        wants = " ".join(f"b@{index}.service" for index in range(count))
        self.write("units/default.target", f"[Unit]\nDefaultDependencies=no\nWants={wants}\n")
        # The kills of the bench would trip the limit; a crash loop is measured with it.
        limit = "" if mode == "crash" else "StartLimitIntervalSec=0\n"
        words = " ".join([self.options.beacon, *self.arguments("%i", mode)])
        self.write(
            "units/b@.service",
            f"[Unit]\nDefaultDependencies=no\n{limit}[Service]\nExecStart={words}\nRestart=always\n"
            f"TimeoutStopSec={STOP_MAX_S}\n{self.restart}",
        )
        self.write(
            "go.sh",
            "mount --make-rprivate /\nmount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system /run/u\n"
            f"export XDG_RUNTIME_DIR=/run/u SYSTEMD_UNIT_PATH={self.directory}/units SYSTEMD_LOG_TARGET=null\n"
            "exec /lib/systemd/systemd --user\n",
        )

    def words(self):
        group = "/sys/fs/cgroup/systemd/supbench"
        if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            group = "/sys/fs/cgroup/supbench"
        return ["sh", "-c", f"mkdir -p {group} 2>/dev/null; echo $$ > {group}/cgroup.procs; "
                f"exec unshare -m -C bash {self.directory}/go.sh"]

    def pids(self):
        return [self.root]

    def inside(self, *words):
        return ["nsenter", "-t", str(self.root), "-m", "env", "XDG_RUNTIME_DIR=/run/u", *words]

    def stop_words(self, index):
        return self.inside("systemctl", "--user", "stop", f"b@{index}.service")


class SystemdAtOnce(Systemd):
    name = "systemd-restartsec0"
    note = "systemd --user, Restart=always, RestartSec=0"
    restart = "RestartSec=0\n"


class Circus(Supervisor):
    name = "circus"

    @classmethod
    def is_there(cls, options):
        return bool(options.circusd)

    def prepare(self, count, mode):
        place = self.directory
        text = f"[circus]\nendpoint=ipc://{place}/e.sock\npubsub_endpoint=ipc://{place}/p.sock\nstatsd=False\n"
        for index in range(count):
            text += (
                f"[watcher:b{index}]\ncmd={self.command(index, mode)}\nnumprocesses=1\ncopy_env=True\n"
                f"graceful_timeout={STOP_MAX_S}\n"
            )
        self.write("c.ini", text)

    def words(self):
        return [self.options.circusd, self.directory + "/c.ini"]

    def stop_words(self, index):
        control = os.path.join(os.path.dirname(self.options.circusd), "circusctl")
        return [control, "--endpoint", f"ipc://{self.directory}/e.sock", "stop", f"b{index}", "--waiting"]


class Pm2(Supervisor):
    name = "pm2"
    start_max_s = 240

    @classmethod
    def is_there(cls, options):
        return bool(options.pm2)

    def prepare(self, count, mode):
        apps = [
            {"name": f"b{index}", "script": self.options.beacon, "interpreter": "none", "exec_mode": "fork",
             "args": self.arguments(index, mode), "kill_timeout": STOP_MAX_S * 1000}
            for index in range(count)
        ]
        self.write("eco.json", json.dumps({"apps": apps}))

    def environment(self):
        return {"PM2_HOME": self.directory + "/home", "PM2_DISABLE_VERSION_CHECK": "true"}

    def words(self):
        return [self.options.pm2, "start", self.directory + "/eco.json"]

    def pids(self):
        """Its daemon, which leaves the program that started it."""
        try:
            with open(self.directory + "/home/pm2.pid") as file:
                return [int(file.read())]
        except (OSError, ValueError):
            return []

    def stop_words(self, index):
        settings = (f"{name}={value}" for name, value in self.environment().items())
        return ["env", *settings, self.options.pm2, "stop", f"b{index}"]

    def teardown(self):
        for daemon in self.pids():
            kill(daemon, *(pid for pid, _ in descendants(daemon)))
        super().teardown()


ALL = [Floor, TokioFloor, Castellan, Systemd, SystemdAtOnce, S6, Runit, Supervisord, Monit, Circus, Pm2]
