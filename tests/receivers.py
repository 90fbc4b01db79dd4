"""Serves raw sockets on loopback, one thread per connection, as hostile as a test likes."""

from __future__ import annotations

import datetime
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Receiver:
    """A listening receiver and what it has seen."""

    port: int
    stop: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    sent: int = 0

    def send(self, conn: socket.socket, data: bytes) -> None:
        conn.sendall(data)
        self.sent += len(data)

    def read(self, conn: socket.socket) -> bytes:
        """Read one whole request, keep it, and give it; empty when the peer has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = conn.recv(65536)
            if not chunk:
                return b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
        while len(body) < length:
            body += conn.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def pause(self, seconds: float) -> bool:
        """Wait; false when the test is over."""
        return not self.stop.wait(seconds)


Behaviour = Callable[[Receiver, socket.socket], None]


@contextmanager
def receiving(behave: Behaviour, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Serve a behaviour, one thread per connection; the socket is closed when it returns."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=64) as listener:
        receiver = Receiver(port=listener.getsockname()[1])
        threads: list[threading.Thread] = []
        handles: list[socket.socket] = []

        def serve(conn: socket.socket, handle: socket.socket) -> None:
            conn.settimeout(5)
            with handle, conn, suppress(OSError, ssl.SSLError):
                behave(receiver, conn)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    conn, _ = listener.accept()
                    receiver.connections += 1
                    handles.append(conn.dup())  # TLS takes the socket away from its object
                    threads.append(
                        threading.Thread(target=serve, args=(conn, handles[-1]), daemon=True)
                    )
                    threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield receiver
        finally:
            receiver.stop.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(1)
            for handle in handles:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(1)


def answering(*answers: bytes) -> Behaviour:
    """Answer each request on a connection with the next of these, then close."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        for answer in answers:
            if not receiver.read(conn):
                return
            receiver.send(conn, answer)

    return behave


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test's own; ``bundle`` is what a client has to trust."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def bundle(self) -> str:
        return str(self.folder / "ca.pem")

    def context(self, *names: str, days: int = 1, self_signed: bool = False) -> ssl.SSLContext:
        """Make a server's context with a certificate for these names and addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue(*names, days=days, self_signed=self_signed))
        return context

    def issue(self, *names: str, days: int = 1, self_signed: bool = False) -> str:
        """Make a certificate and its key, and give the one file that holds both."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = key if self_signed else self.key
        issuer = _subject(names[0]) if self_signed else self.certificate.subject
        made = _certificate(_subject(names[0]), issuer, key, signer, names, days, ca=False)
        path = self.folder / f"{'-'.join(names).replace(':', '_')}{days}{self_signed}.pem"
        path.write_bytes(_pem(key) + made.public_bytes(serialization.Encoding.PEM))
        return str(path)


def make_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("Test authority")
    certificate = _certificate(subject, subject, key, key, (), 1, ca=True)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(folder, key, certificate)


def over_tls(behave: Behaviour, context: ssl.SSLContext) -> Behaviour:
    """Wrap a behaviour in TLS."""

    def wrapped(receiver: Receiver, conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as tls:
            behave(receiver, tls)

    return wrapped


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
    days: int,
    ca: bool,
) -> x509.Certificate:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=end - datetime.timedelta(days=30),
        not_valid_after=end,
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if names:
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
