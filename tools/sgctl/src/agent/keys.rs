// SPDX-License-Identifier: GPL-2.0
//! The key of this machine, and the certificate that it proves itself with.
//!
//! The certificate is signed with its own key, and nobody else signs it: others know it by
//! its fingerprint, which stands in the file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::cluster::file::links::Fingerprint;
use crate::{output, Failure};

/// Who may read the key, and the certificate with it.
const MODE: u32 = 0o600;
/// Seconds of a year, and for how many years a certificate is valid.
const YEAR: u64 = 31_556_952;
const YEARS: i32 = 100;

/// What this machine proves itself with.
#[derive(Debug)]
pub struct Keys {
    /// What others know.
    pub certificate: CertificateDer<'static>,
    /// What nobody else knows.
    pub key: PrivateKeyDer<'static>,
}

impl Keys {
    /// What stands in the file.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.certificate)
    }
}

/// The fingerprint of a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Fingerprint(bytes)
}

/// The folder of the keys: the one given, or that of the cluster's file.
pub fn folder(given: Option<&Path>, file: &Path) -> PathBuf {
    let beside = file.parent().filter(|it| !it.as_os_str().is_empty());
    given.or(beside).unwrap_or(Path::new(".")).to_owned()
}

/// Where key and certificate are.
fn places(folder: &Path) -> [PathBuf; 2] {
    ["machine.key", "machine.crt"].map(|name| folder.join(name))
}

/// Whether there are any.
pub fn are_there(folder: &Path) -> bool {
    places(folder).iter().any(|path| path.exists())
}

/// Reads those of a folder.
pub fn load(folder: &Path) -> Result<Keys, Failure> {
    let [key_path, certificate_path] = places(folder);
    let key = PrivateKeyDer::from_pem_slice(&read(&key_path)?);
    let certificate = CertificateDer::from_pem_slice(&read(&certificate_path)?);
    let broken = |path: &Path| {
        Failure::new(format!(
            "{} is not what \"sgctl cluster init\" has made: make key and certificate anew with \
             --force, and enter the new fingerprint on all machines",
            path.display()
        ))
    };
    let keys = Keys {
        key: key.map_err(|_| broken(&key_path))?,
        certificate: certificate.map_err(|_| broken(&certificate_path))?,
    };
    let mode = fs::metadata(&key_path).map_or(0, |it| it.permissions().mode());
    if mode & 0o077 != 0 {
        let path = key_path.display();
        output::note(&format!("others can read {path}: chmod 600 {path}"));
    }
    match super::tls::certified(&keys) {
        Ok(_) => Ok(keys),
        Err(_) => Err(broken(&certificate_path)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        let path = path.display();
        Failure::new(match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no {path}: make it with \"sgctl cluster init\"")
            }
            io::ErrorKind::PermissionDenied => {
                format!("{path} cannot be read: {error}: run sgctl as root")
            }
            _ => format!("{path} cannot be read: {error}"),
        })
    })
}

/// Makes new ones for the machine with this name, in place of those that are there.
pub fn make(folder: &Path, name: &str) -> Result<Keys, Failure> {
    let (key, certificate) = generate(name, validity())?;
    let [key_path, certificate_path] = places(folder);
    write(&key_path, &key)?;
    write(&certificate_path, &certificate)?;
    load(folder)
}

/// A key and its certificate, as they are written.
pub(super) fn generate(name: &str, years: (i32, i32)) -> Result<(String, String), Failure> {
    let failure = |error: rcgen::Error| Failure::new(format!("no key could be made: {error}"));
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let (first, last) = years;
    params.not_before = rcgen::date_time_ymd(first, 1, 1);
    params.not_after = rcgen::date_time_ymd(last, 1, 1);
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(failure)?;
    let certificate = params.self_signed(&key).map_err(failure)?;
    Ok((key.serialize_pem(), certificate.pem()))
}

/// The years in which a certificate that is made now begins to be valid, and ends. A clock that is
/// somewhat behind does no harm.
fn validity() -> (i32, i32) {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    let years = age.unwrap_or_default().as_secs() / YEAR;
    let year = 1970 + i32::try_from(years).unwrap_or_default();
    (year - 1, year + YEARS)
}

/// Writes a file that only its owner can read, in place of the one that is there.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut draft = path.to_owned().into_os_string();
    draft.push(format!(".new.{}", std::process::id()));
    let written = || -> io::Result<()> {
        // One of a program that was killed, and had the same number: in a container each may have 1.
        let _ = fs::remove_file(&draft);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    written().map_err(|error| {
        let _ = fs::remove_file(&draft);
        Failure::new(format!("{} cannot be written: {error}", path.display()))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cluster::file::store::tests::folder_of;

    /// Keys of a certificate that is valid in these years.
    pub(in super::super) fn valid(years: (i32, i32)) -> Keys {
        let (key, certificate) = generate("a", years).expect("they can be made");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
        Keys {
            certificate: certificate.expect("it is one"),
            key: key.expect("it is one"),
        }
    }

    /// Keys that can be used.
    pub(in super::super) fn keys() -> Keys {
        valid(validity())
    }

    #[test]
    fn keys_are_kept_and_only_their_owner_reads_them() {
        let folder = folder_of("keys");
        assert!(!are_there(&folder));
        let missing = load(&folder).expect_err("there are none").to_string();
        assert!(missing.contains("cluster init"), "{missing}");
        let made = make(&folder, "a").expect("they can be made");
        let loaded = load(&folder).expect("they are there");
        assert_eq!(made.fingerprint(), loaded.fingerprint());
        for path in places(&folder) {
            let mode = fs::metadata(path).map(|it| it.permissions().mode() & 0o777);
            assert_eq!(mode.ok(), Some(0o600));
        }
        let draft = folder.join(format!("machine.key.new.{}", std::process::id()));
        fs::write(&draft, "x").expect("it is ours");
        let again = make(&folder, "a").expect("they can be made anew");
        assert_ne!(made.fingerprint(), again.fingerprint());
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 2);
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn a_certificate_of_another_key_is_told() {
        let folder = folder_of("other-keys");
        make(&folder, "a").expect("they can be made");
        let (key, _) = generate("b", validity()).expect("it can be made");
        write(&folder.join("machine.key"), &key).expect("it is ours");
        let failure = load(&folder).expect_err("they do not fit").to_string();
        assert!(failure.contains("--force"), "{failure}");
        fs::write(folder.join("machine.crt"), "x").expect("it is ours");
        let failure = load(&folder).expect_err("it is none").to_string();
        assert!(failure.contains("machine.crt is not"), "{failure}");
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn keys_are_beside_the_file_unless_told() {
        for (given, file, expected) in [
            (
                None,
                "/etc/service_group/cluster.toml",
                "/etc/service_group",
            ),
            (None, "cluster.toml", "."),
            (Some("/k"), "/etc/x", "/k"),
        ] {
            let found = folder(given.map(Path::new), Path::new(file));
            assert_eq!(found, Path::new(expected));
        }
    }
}
