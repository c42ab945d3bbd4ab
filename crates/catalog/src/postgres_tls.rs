//! The certificates that an address of PostgreSQL names. The files are read here: the driver says less of what is wrong
//! with them, and knows no key in PKCS-8's own form, which is what the JDBC driver wants.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::postgres::PgConnectOptions;

const PEM_BEGIN: &str = "-----BEGIN ";
/// What PKCS-8 without a password has behind its length: version 0 and the key's algorithm
const PKCS8_START: &[u8] = &[2, 1, 0, 0x30];

/// Files of the server's machine.
#[derive(Debug, Default, Clone, Copy)]
pub struct PostgresCertificates<'a> {
    /// `sslrootcert`: who may have signed the database's certificate
    pub root: Option<&'a str>,
    /// `sslcert`: the certificate that is shown to the database
    pub certificate: Option<&'a str>,
    /// `sslkey`
    pub key: Option<&'a str>,
}

impl PostgresCertificates<'_> {
    /// The options with the certificates; else what is wrong with them.
    pub fn apply(&self, mut options: PgConnectOptions) -> Result<PgConnectOptions, String> {
        if let Some(file) = self.root {
            read("root certificate", file)?;
            options = options.ssl_root_cert(file);
        }
        match (self.certificate, self.key) {
            (None, None) => Ok(options),
            (Some(certificate), Some(key)) => {
                Ok(options.ssl_client_cert_from_pem(chain(certificate)?).ssl_client_key_from_pem(private_key(key)?))
            }
            (Some(_), None) => Err("sslcert needs sslkey, the file with the certificate's key".to_string()),
            (None, Some(_)) => Err("sslkey needs sslcert, the file with the key's certificate".to_string()),
        }
    }
}

fn read(what: &str, file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("the {what} {file} cannot be read: {error}"))
}

fn chain(file: &str) -> Result<Vec<u8>, String> {
    let bytes = read("client certificate", file)?;
    match String::from_utf8_lossy(&bytes).contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(bytes),
        false => Err(format!("the client certificate {file} is no PEM file with certificates")),
    }
}

/// A key as PEM.
fn private_key(file: &str) -> Result<Vec<u8>, String> {
    let bytes = read("client key", file)?;
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("ENCRYPTED") {
        return Err(format!("the client key {file} has a password: only keys without one are known"));
    }
    if text.contains(PEM_BEGIN) && text.contains("PRIVATE KEY-----") {
        return Ok(bytes);
    }
    match is_pkcs8(&bytes) {
        true => Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines(&bytes)).into_bytes()),
        false => Err(format!("the client key {file} is neither PEM nor PKCS-8 without a password")),
    }
}

fn is_pkcs8(der: &[u8]) -> bool {
    // A sequence; a length above 127 says first how many bytes it has.
    let [0x30, length, rest @ ..] = der else { return false };
    let more = if *length > 0x80 { usize::from(length - 0x80) } else { 0 };
    rest.get(more..).is_some_and(|content| content.starts_with(PKCS8_START))
}

fn lines(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_either_form() {
        let folder = std::env::temp_dir().join(format!("firesteel-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes).unwrap();
            folder.join(name).display().to_string()
        };
        let pem = b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        assert_eq!(private_key(&file("key.pem", pem)).unwrap(), pem);
        let der = [&[0x30, 0x81, 0x85, 2, 1, 0, 0x30, 0x13][..], &[7; 120]].concat();
        let made = String::from_utf8(private_key(&file("key.pk8", &der)).unwrap()).unwrap();
        assert!(
            made.starts_with("-----BEGIN PRIVATE KEY-----\nMIGFAgEAMBM") && made.lines().all(|line| line.len() <= 64)
        );
        // PKCS-12 is version 3; a key of PKCS-1 goes on with a number.
        for (name, bytes, said) in [
            ("key.p12", &[0x30, 0x82, 1, 2, 2, 1, 3, 0x30][..], "neither PEM"),
            ("key.der", &[0x30, 0x82, 1, 2, 2, 1, 0, 2], "neither PEM"),
            ("key.enc", b"-----BEGIN ENCRYPTED PRIVATE KEY-----", "has a password"),
            ("empty", b"", "neither PEM"),
        ] {
            let error = private_key(&file(name, bytes)).unwrap_err();
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
        assert!(chain(&file("no.pem", pem)).unwrap_err().contains("no PEM file with certificates"));
        assert!(chain("/no/such/file").unwrap_err().contains("/no/such/file cannot be read"));
        let only = PostgresCertificates { certificate: Some("a"), ..PostgresCertificates::default() };
        assert!(only.apply(PgConnectOptions::new_without_pgpass()).unwrap_err().contains("needs sslkey"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
