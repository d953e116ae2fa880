"""A terminal for clients that want one: what they write is kept, and keys are sent when something has appeared."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import standstill
from poplar_server import PATIENCE


class Terminal:
    def __init__(self, *arguments, **popen):
        self.output = bytearray()
        self.read_to = 0
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 132, 0, 0))
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        **popen)
        os.close(theirs)

    def _read(self, deadline, patient=False):
        if not select.select([self.ours], [], [], max(0, deadline - time.monotonic()))[0]:
            if patient:
                return True
            state = standstill.describe(self.process.pid)
            self.close()
            raise AssertionError(f"nothing more came from the program; the end of what it wrote:\n{self.text()[-3000:]}\n{state}")
        try:
            data = os.read(self.ours, 1 << 16)
        except OSError:  # EIO: the program has ended
            data = b""
        self.output += data
        return bool(data)

    def wait(self, *texts, seconds=120):
        """Until one of the texts appears behind what was waited for before; says which."""
        deadline = time.monotonic() + seconds * PATIENCE
        while True:
            found = [(at, text) for text in texts if (at := self.output.find(text.encode(), self.read_to)) >= 0]
            if found:
                at, text = min(found)
                self.read_to = at + len(text)
                return text
            if not self._read(deadline):
                self.close()
                raise AssertionError(f"the program ended without {texts}:\n{self.text()[-3000:]}")

    def keys(self, text):
        os.write(self.ours, text.encode())

    def keys_until(self, text, answer, seconds=120):
        """Sends keys again and again until the answer shows: for programs that forget what was typed while they were busy."""
        deadline = time.monotonic() + seconds * PATIENCE
        while answer.encode() not in self.output[self.read_to:]:
            assert time.monotonic() < deadline, \
                f"{text!r} does not lead to {answer!r}:\n{self.text()[-3000:]}\n{standstill.describe(self.process.pid)}"
            self.keys(text)
            again = time.monotonic() + 0.3
            while answer.encode() not in self.output[self.read_to:] and time.monotonic() < again:
                if not self._read(again, patient=True):
                    raise AssertionError(f"the program ended:\n{self.text()[-3000:]}")
        self.wait(answer)

    def end(self, keys=None, seconds=120):
        """Reads to the program's end, for which these keys may be needed, and returns its exit status."""
        deadline = time.monotonic() + seconds * PATIENCE
        more = True
        while keys and more and time.monotonic() < deadline:
            try:
                self.keys(keys)
            except OSError:  # it has ended
                break
            again = time.monotonic() + 0.3
            while more and time.monotonic() < again:
                more = self._read(again, patient=True)
        while self._read(deadline):
            pass
        os.close(self.ours)
        self.ours = -1
        return self.process.wait(seconds * PATIENCE)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.ours >= 0:
            os.close(self.ours)
            self.ours = -1

    def text(self):
        return self.output.decode(errors="replace")
