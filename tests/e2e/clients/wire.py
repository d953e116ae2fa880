"""A proxy between a client and the server, which sees what crosses and cuts the connection on a word."""

import select
import socket
import struct
import threading


class Wire:
    """Listens on a port of its own. With `cut_after`, closes both sides abruptly as soon as the server has sent these octets
    (they are the last to reach the client), once; later connections pass."""

    def __init__(self, port, cut_after=None):
        self.target, self.cut_after = port, cut_after
        self.cuts = 0
        self.client_said, self.server_said = bytearray(), bytearray()  # over all connections
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.wake_end, self.wake = socket.socketpair()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        pairs = {}
        try:
            while True:
                ready, _, _ = select.select([self.listener, self.wake_end, *pairs], [], [])
                if self.wake_end in ready:
                    return
                for one in ready:
                    if one is self.listener:
                        client, _ = self.listener.accept()
                        server = socket.create_connection(("127.0.0.1", self.target))
                        pairs[client], pairs[server] = (server, self.client_said), (client, self.server_said)
                    elif one in pairs and not self._pass(one, *pairs[one]):
                        for end in (one, pairs[one][0]):
                            del pairs[end]
                            end.close()
        finally:
            for end in (self.listener, *pairs):
                end.close()

    def _pass(self, source, sink, said):
        try:
            data = source.recv(1 << 16)
            begin = len(said)
            said += data
            cut = self.cut_after and not self.cuts and said is self.server_said
            if cut and (at := said.find(self.cut_after, max(0, begin - len(self.cut_after)))) >= 0:
                sink.sendall(said[begin:at + len(self.cut_after)])
                self.cuts += 1
                # A reset, as from a router that forgot the connection: mpop 1.4 turns in circles at a plain end of file.
                sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            sink.sendall(data)
            return bool(data)
        except OSError:
            return False

    def close(self):
        self.wake.send(b"x")
        self.thread.join()
        self.wake.close()
        self.wake_end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
