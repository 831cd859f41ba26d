"""A synthetic head office's keys: CA, server, terminals, receipts, sealing.

Laws of this file:
- Everything is made anew for each run and good for nothing else.
- What can be wrong with a certificate is an argument: dates, name, CA.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from terminal.core.parameters import OfficeKey, OfficeKeys

DAY = datetime.timedelta(days=1)


@dataclass
class Authority:
    """A certificate authority and the directory it writes to."""

    directory: Path
    name: str = "ca"

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"synthetic {self.name}")])
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .sign(self._key, SHA256())
        )
        self.ca = self.directory / f"{self.name}.pem"
        self.ca.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(
        self, name: str, *, server: bool = False, host: str = "localhost", days: tuple[int, int] = (-1, 365)
    ) -> Path:
        """Write NAME.pem and NAME.key; `days` from and to, counted from now. Returns the certificate's path."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * DAY)
            .not_valid_after(now + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(digital_signature=True), critical=True)
        )
        if server:
            names: list[x509.GeneralName] = [x509.DNSName(host)]
            if host == "localhost":
                names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, SHA256())
        path = self.directory / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        _write_key(self.directory / f"{name}.key", key)
        return path

    def revoke(self, *names: str) -> Path:
        """Write the CRL that revokes these certificates, beside the CA. Returns its path."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        builder = builder.last_update(now - DAY).next_update(now + 30 * DAY)
        for name in names:
            certificate = x509.load_pem_x509_certificate((self.directory / f"{name}.pem").read_bytes())
            revoked = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        path = self.directory / f"{self.name}.crl"
        path.write_bytes(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        return path


def write_office_keys(directory: Path) -> OfficeKeys:
    """Make the receipt and the sealing key; write them, and return their public halves for the parameters."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_key(directory / "receipt.key", ec.generate_private_key(ec.SECP256R1()))
    _write_key(directory / "sealing.key", x25519.X25519PrivateKey.generate())
    return read_office_keys(directory)


def read_office_keys(directory: Path) -> OfficeKeys:
    """The public halves of what `write_office_keys` wrote."""
    return public_halves(*load_office_keys(directory))


def public_halves(receipt: ec.EllipticCurvePrivateKey, sealing: x25519.X25519PrivateKey) -> OfficeKeys:
    """Head office's two keys as the parameters name them."""
    point = receipt.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    raw = sealing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return OfficeKeys(
        keys=(
            OfficeKey(key_id="receipt-1", use="receipt", suite="ES256", public_key=point.hex()),
            OfficeKey(key_id="sealing-1", use="sealing", suite="HPKE-X25519-SHA256-AES256GCM", public_key=raw.hex()),
        )
    )


def load_office_keys(directory: Path) -> tuple[ec.EllipticCurvePrivateKey, x25519.X25519PrivateKey]:
    """Head office's private keys."""
    receipt = load_pem_private_key((directory / "receipt.key").read_bytes(), None)
    sealing = load_pem_private_key((directory / "sealing.key").read_bytes(), None)
    assert isinstance(receipt, ec.EllipticCurvePrivateKey)
    assert isinstance(sealing, x25519.X25519PrivateKey)
    return receipt, sealing


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
