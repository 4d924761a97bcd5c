import os
import ssl
from pathlib import Path

from cryptography import x509

from app.demo.pki import Authority, Identity, SecretDirectory, Subject, Trust


def test_a_leaf_is_accepted_by_its_authority_alone(tmp_path: Path) -> None:
    ours, other = Authority("ours"), Authority("other")
    subject = Subject(name="store", uris=("spiffe://eu/store/a",), dns=("localhost",), ips=("127.0.0.1",))
    pair = ours.issue(subject, 60)
    leaf = x509.load_pem_x509_certificate(pair.certificate)
    assert f"{leaf.serial_number:x}" == pair.serial
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ours.pem))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://eu/store/a"]
    identity = Identity(tmp_path / "leaf", subject)
    identity.write(pair)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(identity.cert_file, identity.key_file)
    store = x509.verification.Store([x509.load_pem_x509_certificate(other.pem)])
    verifier = x509.verification.PolicyBuilder().store(store).build_client_verifier()
    try:
        verifier.verify(leaf, [])
    except x509.verification.VerificationError:
        return
    raise AssertionError("another authority accepted the leaf")


def test_files_are_the_owners_and_swapped_together(tmp_path: Path) -> None:
    directory = SecretDirectory(tmp_path / "secret")
    directory.write({"one": b"1", "two": b"1"})
    before = os.open(directory.path / "..data", os.O_RDONLY | os.O_DIRECTORY)
    directory.write({"one": b"2", "two": b"2"})
    assert (directory.path / "one").read_bytes() == (directory.path / "two").read_bytes() == b"2"
    assert (directory.path / "one").stat().st_mode & 0o777 == 0o600
    assert (directory.path / "..data").resolve().stat().st_mode & 0o777 == 0o700
    assert os.listdir(before) == []  # the version before is gone, as with Kubernetes
    os.close(before)
    assert len([name for name in os.listdir(directory.path) if name.startswith("..version")]) == 1


def test_a_bundle_holds_old_and_new(tmp_path: Path) -> None:
    trust = Trust(tmp_path / "trust")
    old, new = Authority("old"), Authority("new")
    trust.write([old, new])
    assert len(x509.load_pem_x509_certificates(Path(trust.ca_file).read_bytes())) == 2
    trust.write([new])
    assert Path(trust.ca_file).read_bytes() == new.pem
    assert trust.authorities == (new,)
