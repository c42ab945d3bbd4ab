//! The token that clients show (`spark.connect.authenticate.token`).
use std::sync::Arc;

use tonic::{Request, Status};

/// Lets a request pass that carries the token; without a token, every request.
#[derive(Clone)]
pub(crate) struct Authenticate {
    expected: Option<Arc<str>>,
}

impl Authenticate {
    pub(crate) fn new(token: Option<&str>) -> Self {
        Self { expected: token.map(|token| format!("Bearer {token}").into()) }
    }
}

impl tonic::service::Interceptor for Authenticate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(expected) = &self.expected else { return Ok(request) };
        match request.metadata().get("authorization") {
            None => Err(Status::unauthenticated("No authentication token provided")),
            Some(given) if same(given.as_bytes(), expected.as_bytes()) => Ok(request),
            Some(_) => Err(Status::unauthenticated("Invalid authentication token")),
        }
    }
}

/// Takes the same time wherever the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::service::Interceptor;

    #[test]
    fn the_token_is_asked_for() {
        let mut authenticate = Authenticate::new(Some("secret"));
        assert!(authenticate.call(Request::new(())).is_err());
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", "Bearer secret".parse().unwrap());
        assert!(authenticate.call(request).is_ok());
        assert!(Authenticate::new(None).call(Request::new(())).is_ok());
    }
}
