"""A real sshd on the loopback interface, with its own keys."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.helpers.processes import Process, free_port, wait_for


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def sessions(port):
    """Processes that came in through the port: they outlive their connection."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SSH_CONNECTION", "").endswith(f" {port}"):
                found.append(process)
    return found


@pytest.fixture
def sshd(tmp_path):
    """Start sshd, and yield what ``asyncssh.connect`` needs to log in."""
    command = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if not command:
        pytest.skip("sshd is not installed")
    if os.geteuid() == 0:
        # Debian's sshd needs this folder, which systemd usually creates.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name],
            check=True,
        )
    port = free_port()
    host_key = (tmp_path / "host.pub").read_text()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (tmp_path / "authorized_keys").write_text((tmp_path / "user.pub").read_text())
    (tmp_path / "sshd_config").write_text(
        f"""
        Port {port}
        ListenAddress 127.0.0.1
        HostKey {tmp_path}/host
        AuthorizedKeysFile {tmp_path}/authorized_keys
        PasswordAuthentication no
        PermitRootLogin prohibit-password
        PidFile none
        StrictModes no
        UsePAM no
        """
    )
    with Process(
        tmp_path, "sshd", command, "-D", "-e", "-f", tmp_path / "sshd_config"
    ) as process:
        wait_for(lambda: accepts(port) or process.popen.poll() is not None)
        if process.popen.poll() is not None:
            pytest.skip(f"sshd does not start here: {process.stderr}")
        yield {
            "port": port,
            "username": getpass.getuser(),
            "client_keys": [str(tmp_path / "user")],
            "known_hosts": str(tmp_path / "known_hosts"),
        }
        left = sessions(port)
        for session in left:
            session.kill()
        psutil.wait_procs(left)
