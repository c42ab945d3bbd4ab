"""Certificates of an authority of the tests' own."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)
# Where a server is
PLACES = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


class Authority:
    """Signs certificates, and writes them down as PEM files."""

    def __init__(self, folder, name="test authority"):
        self.folder = folder
        self.key, self.name = ec.generate_private_key(ec.SECP256R1()), self.named(name)
        self.file = self.write("authority.pem", self.sign(self.name, self.key.public_key(), is_authority=True))

    def named(self, name):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def sign(self, subject, public_key, is_authority=False, places=PLACES):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + DAY)
        builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(public_key)
        for extension in [ours, own, *([] if is_authority else [x509.SubjectAlternativeName(list(places))])]:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def write(self, name, certificate):
        file = self.folder / name
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return file

    def issue(self, name, places=PLACES):
        """The files of a certificate, of a server or for a user's name, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.write(f"{name}.pem", self.sign(self.named(name), key.public_key(), places=places))
        files = {"key": (serialization.Encoding.PEM, serialization.NoEncryption())}
        # As PostgreSQL's JDBC driver wants it, and one that wants a password.
        files["pk8"] = serialization.Encoding.DER, serialization.NoEncryption()
        files["locked"] = serialization.Encoding.PEM, serialization.BestAvailableEncryption(b"password")
        for ending, (encoding, encryption) in files.items():
            file = self.folder / f"{name}.{ending}"
            file.touch(0o600)
            file.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, encryption))
        return certificate, self.folder / f"{name}.key"
