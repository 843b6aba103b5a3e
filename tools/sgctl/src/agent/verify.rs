// SPDX-License-Identifier: GPL-2.0
//! Whether the other side is who it has to be: its certificate has a fingerprint of the file, is
//! valid today, and it has proved to have the key.
//!
//! A verifier serves one connection, and remembers why it has refused, for TLS tells the other
//! side a number only.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls13_signature, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, SignatureScheme,
};
use webpki::{anchor_from_trusted_cert, EndEntityCert, KeyUsage};

use super::keys::fingerprint;
use super::tls::Trouble;
use crate::cluster::file::links::Fingerprint;

/// Checks the certificate of one connection.
#[derive(Debug)]
pub struct Verifier {
    known: Known,
    algorithms: WebPkiSupportedAlgorithms,
    refused: Mutex<Option<String>>,
}

/// Whose certificate is taken.
#[derive(Debug)]
enum Known {
    /// That of the machine that was connected to.
    One(Fingerprint),
    /// That of any machine of the file.
    All(Vec<Fingerprint>),
}

impl Verifier {
    /// Takes the certificate of one machine, which was connected to.
    pub fn of(wanted: Fingerprint) -> Arc<Self> {
        Self::new(Known::One(wanted))
    }

    /// Takes these certificates, of whoever may connect.
    pub fn among(known: Vec<Fingerprint>) -> Arc<Self> {
        Self::new(Known::All(known))
    }

    fn new(known: Known) -> Arc<Self> {
        Arc::new(Self {
            known,
            algorithms: ring::default_provider().signature_verification_algorithms,
            refused: Mutex::default(),
        })
    }

    fn check(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
        let stranger = self.stranger(fingerprint(certificate));
        let stranger = stranger.map(|why| (why, CertificateError::ApplicationVerificationFailure));
        let Some((reason, error)) = stranger.or_else(|| self.invalid(certificate, now)) else {
            return Ok(());
        };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused = Some(reason);
        Err(error.into())
    }

    /// Why a fingerprint is not known, if it is not.
    fn stranger(&self, shown: Fingerprint) -> Option<String> {
        match &self.known {
            Known::One(wanted) if *wanted != shown => Some(format!(
                "its certificate is {shown}, and that of the file is {wanted}: if it has made a new \
                 key, enter the new fingerprint, else somebody else answers there"
            )),
            Known::All(known) if !known.contains(&shown) => Some(format!(
                "its certificate is {shown}, which no machine of the file has"
            )),
            _ => None,
        }
    }

    /// Why a certificate that is known is not valid now, if it is not.
    fn invalid(
        &self,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Option<(String, CertificateError)> {
        let anchor = anchor_from_trusted_cert(certificate);
        let parsed = EndEntityCert::try_from(certificate);
        let outcome = anchor.and_then(|anchor| {
            let usage = KeyUsage::client_auth();
            let all = self.algorithms.all;
            parsed?
                .verify_for_usage(all, &[anchor], &[], now, usage, None, None)
                .map(|_| ())
        });
        let renew = "make a new one there with \"sgctl cluster init --force\"";
        match outcome {
            Ok(()) => None,
            Err(webpki::Error::CertExpired { .. }) => Some((
                format!(
                    "its certificate has expired: {renew}, or correct the clock of this machine"
                ),
                CertificateError::Expired,
            )),
            Err(webpki::Error::CertNotValidYet { .. }) => Some((
                "its certificate is not valid yet: correct the clocks of both machines".to_owned(),
                CertificateError::NotValidYet,
            )),
            Err(error) => Some((
                format!("its certificate is not sound ({error}): {renew}"),
                CertificateError::BadEncoding,
            )),
        }
    }

    /// Why a handshake failed, as a part of a sentence about the other side.
    pub fn explain(&self, trouble: &Trouble) -> String {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*refused, trouble) {
            (Some(reason), _) => reason.clone(),
            (None, Trouble::Io(error)) => super::meet::connection(error),
            (None, Trouble::NoTls) => {
                "it does not speak TLS: another program, or link-security is \
                                       \"none\" in its file"
                    .to_owned()
            }
            (None, Trouble::Tls(error)) => of_tls(error),
        }
    }
}

/// What an error of TLS is, as a part of a sentence about the other side.
fn of_tls(error: &Error) -> String {
    let told = match error {
        Error::AlertReceived(alert) => return of_alert(*alert),
        Error::NoApplicationProtocol => {
            "it asks for nothing that this version knows: have both machines run the same version"
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls13RequiredForQuic,
        ) => "it does not speak TLS 1.3",
        Error::PeerIncompatible(_) => "it knows none of the ciphers and keys of links",
        Error::NoCertificatesPresented => "it shows no certificate",
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            "it does not have the key of the certificate that it shows"
        }
        Error::InvalidMessage(_) => "it does not speak TLS as it is to be spoken",
        _ => return format!("TLS failed: {error}"),
    };
    told.to_owned()
}

/// What the other side has told by a number.
fn of_alert(alert: AlertDescription) -> String {
    let told = match alert {
        AlertDescription::AccessDenied => {
            "it does not know the certificate of this machine: enter this machine's fingerprint in \
             its file"
        }
        AlertDescription::CertificateExpired => {
            "it says that the certificate of this machine has expired, or is not valid yet: correct \
             the clocks, or make a new one with \"sgctl cluster init --force\""
        }
        AlertDescription::CertificateRequired => "it says that this machine shows no certificate",
        AlertDescription::NoApplicationProtocol => {
            "it is of another version, which knows no such links: have both machines run the same \
             version"
        }
        AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
        AlertDescription::HandshakeFailure => "it knows none of the ciphers and keys of links",
        _ => return format!("it has ended TLS with the alert {alert:?}"),
    };
    told.to_owned()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
