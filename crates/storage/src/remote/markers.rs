//! Directories that hold nothing yet, as Hadoop's connectors keep them: an empty object whose key ends with a slash (S3,
//! Google), or one that says it is a folder (Azure). `object_store` has no keys that end with a slash, so these requests
//! are made here.
use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::gcp::GcpCredential;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ClientOptions, CredentialProvider, Error, ObjectStore, ObjectStoreExt, PutOptions,
    PutPayload, Result,
};

/// Makes and removes the object that stands for a directory.
#[async_trait]
pub(super) trait Markers: Send + Sync {
    async fn put(&self, directory: &Path) -> Result<()>;
    /// No error where there is none.
    async fn delete(&self, directory: &Path) -> Result<()>;
    /// Whether the object at the directory's own key is a marker.
    fn is_marker(&self, _attributes: &Attributes) -> bool {
        false
    }
}

/// How often a request is sent while the store says that the fault is its own.
const ATTEMPTS: usize = 4;

/// How a request says whom it is from; one without it says nothing.
pub(super) enum Signer {
    S3 { region: String, credentials: Arc<dyn CredentialProvider<Credential = AwsCredential>> },
    Google(Arc<dyn CredentialProvider<Credential = GcpCredential>>),
}

impl Signer {
    async fn sign(&self, request: &mut HttpRequest) -> Result<()> {
        match self {
            Self::S3 { region, credentials } => {
                let credential = credentials.get_credential().await?;
                AwsAuthorizer::new(&credential, "s3", region).authorize(request, None);
            }
            Self::Google(credentials) => {
                let value = format!("Bearer {}", credentials.get_credential().await?.bearer).parse();
                let value = value.map_err(|_| Error::Generic { store: "marker", source: "no usable token".into() })?;
                request.headers_mut().insert("authorization", value);
            }
        }
        Ok(())
    }
}

/// An object whose key ends with a slash: S3, Google.
pub(super) struct SlashMarkers {
    /// What keys are appended to
    bucket_url: String,
    client: HttpClient,
    signer: Option<Signer>,
}

impl SlashMarkers {
    pub(super) fn new(bucket_url: String, signer: Option<Signer>, options: &ClientOptions) -> Result<Self> {
        Ok(Self { bucket_url, client: ReqwestConnector::default().connect(options)?, signer })
    }

    fn request(&self, method: &str, directory: &Path) -> Result<HttpRequest> {
        let failed = |what: &str| Error::Generic { store: "marker", source: what.to_string().into() };
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method.parse().map_err(|_| failed("no method"))?;
        let url = format!("{}/{}/", self.bucket_url, encoded(directory.as_ref()));
        *request.uri_mut() = url.parse().map_err(|_| failed("no usable address"))?;
        request.headers_mut().insert("content-length", 0.into());
        Ok(request)
    }

    async fn send(&self, method: &str, directory: &Path) -> Result<()> {
        let mut failure: Box<dyn std::error::Error + Send + Sync> = "the request failed".into();
        for _ in 0..ATTEMPTS {
            let mut request = self.request(method, directory)?;
            // Anew for each attempt: a credential may have run out.
            if let Some(signer) = &self.signer {
                signer.sign(&mut request).await?;
            }
            match self.client.execute(request).await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if method == "DELETE" && answer.status().as_u16() == 404 => return Ok(()),
                Ok(answer) => {
                    let status = answer.status();
                    let body = answer.into_body().bytes().await.unwrap_or_default();
                    let body = String::from_utf8_lossy(&body);
                    failure = format!("status code: {status}: {body}").into();
                    if !status.is_server_error() {
                        break;
                    }
                }
                Err(error) => failure = Box::new(error),
            }
        }
        Err(Error::Generic { store: "marker", source: failure })
    }
}

/// Percent-encodes what signatures want encoded: everything but unreserved characters and slashes.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[async_trait]
impl Markers for SlashMarkers {
    async fn put(&self, directory: &Path) -> Result<()> {
        self.send("PUT", directory).await
    }
    async fn delete(&self, directory: &Path) -> Result<()> {
        self.send("DELETE", directory).await
    }
}

/// A block blob at the directory's own key, with Azure's word for a folder.
pub(super) struct AzureMarkers {
    pub store: Arc<dyn ObjectStore>,
}

const FOLDER: &str = "hdi_isfolder";

#[async_trait]
impl Markers for AzureMarkers {
    async fn put(&self, directory: &Path) -> Result<()> {
        let attributes = Attributes::from_iter([(Attribute::Metadata(FOLDER.into()), "true")]);
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.store.put_opts(directory, PutPayload::default(), options).await.map(|_| ())
    }
    async fn delete(&self, directory: &Path) -> Result<()> {
        match self.store.delete(directory).await {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
    fn is_marker(&self, attributes: &Attributes) -> bool {
        attributes.get(&Attribute::Metadata(FOLDER.into())).is_some_and(|value| value.as_ref() == "true")
    }
}
