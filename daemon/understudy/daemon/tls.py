"""Certificates: read and checked at the start, and again when the files have changed."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from understudy.core.errors import InvalidInput

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Files in PEM form.

    Attributes:
        certificate: the daemon's own, followed by those between it and its root.
        key: of the certificate, without a passphrase; not for everybody to read.
        client_ca: callers must show a certificate that one of these has signed; None: they need not.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """What was read: bytes as gRPC takes them, and when the first of the certificates ends."""

    key: bytes
    chain: bytes
    client_ca: bytes | None
    ends: datetime


def load(tls: Tls, now: datetime | None = None) -> Loaded:
    """Read the files and see that they will do.

    Raises:
        InvalidInput: a file cannot be read or is none of its kind, the key is another certificate's or for everybody
            to read, or a certificate is out of date; names the setting and the file.
    """
    now = now or datetime.now(timezone.utc)
    chain, key = _bytes(tls.certificate, "tls.certificate"), _bytes(tls.key, "tls.key")
    if (mode := stat.S_IMODE(tls.key.stat().st_mode)) & 0o007:
        raise _wrong("tls.key", tls.key, f"mode is {mode:04o}; run `chmod o= {tls.key}`")
    certificates = _certificates(chain, tls.certificate, "tls.certificate")
    _fit(key, certificates[0], tls)
    client_ca = None
    if tls.client_ca is not None:
        client_ca = _bytes(tls.client_ca, "tls.client_ca")
        for each in _certificates(client_ca, tls.client_ca, "tls.client_ca"):
            _valid(each, now, tls.client_ca, "tls.client_ca")
    for each in certificates:
        _valid(each, now, tls.certificate, "tls.certificate")
    return Loaded(key, chain, client_ca, min(each.not_valid_after_utc for each in certificates))


def credentials(tls: Tls) -> tuple[grpc.ServerCredentials, Callable[[], Loaded]]:
    """What a listener needs, and what takes up changed files for connections from then on (errors as `load`)."""
    current = load(tls)
    waiting: list[grpc.ServerCertificateConfiguration] = []

    def configuration(loaded: Loaded) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(loaded.key, loaded.chain)], loaded.client_ca)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        return waiting.pop() if waiting else None  # None: as before

    def reload() -> Loaded:
        loaded = load(tls)
        waiting[:] = [configuration(loaded)]
        return loaded

    made = grpc.dynamic_ssl_server_credentials(
        configuration(current),
        fetch,  # type: ignore[arg-type]  # the stubs do not know that it may be None
        require_client_authentication=tls.client_ca is not None,
    )
    log.info("tls certificate=%s ends=%s", tls.certificate, current.ends.isoformat())
    return made, reload


def _bytes(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(field, path, f"cannot be read: {error.strerror}") from error


def _certificates(pem: bytes, path: Path, field: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise _wrong(field, path, f"holds no certificate in PEM form: {error}") from error


def _fit(pem: bytes, certificate: x509.Certificate, tls: Tls) -> None:
    """Refuse a key that is not the certificate's."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise _wrong("tls.key", tls.key, f"holds no key without a passphrase in PEM form: {error}") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise _wrong("tls.key", tls.key, f"is not the key of {tls.certificate}")


def _valid(certificate: x509.Certificate, now: datetime, path: Path, field: str) -> None:
    name = certificate.subject.rfc4514_string()
    if now >= certificate.not_valid_after_utc:
        raise _wrong(field, path, f"{name} has expired on {certificate.not_valid_after_utc.date()}; renew it")
    if now < certificate.not_valid_before_utc:
        begins = certificate.not_valid_before_utc.date()
        raise _wrong(field, path, f"{name} is valid from {begins} only; see to the clock or the certificate")


def _wrong(field: str, path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{field}: {path}: {why}", path=path, field=field, value=path)
