//! From an HTTP request to its endpoint: the user, the limits, the body; and back with CORS and problem documents.
use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

use crate::access::{Scope, User};
use crate::app::{Answer, App, Call};
use crate::endpoint::{self, Endpoint};
use crate::problem::Problem;

pub fn router(app: &Arc<App>) -> Router {
    let mut paths: Vec<(&str, MethodRouter)> = vec![];
    for endpoint in endpoint::all() {
        let path = endpoint.path;
        let Ok(filter) = method_filter(endpoint.method) else { continue };
        let (app, endpoint) = (Arc::clone(app), Arc::new(endpoint));
        let route = on(filter, move |parameters: RawPathParams, request: Request| {
            let (app, endpoint) = (Arc::clone(&app), Arc::clone(&endpoint));
            async move { handle(app, endpoint, parameters, request).await }
        });
        match paths.iter_mut().find(|(known, _)| *known == path) {
            Some((_, routes)) => *routes = std::mem::take(routes).merge(route),
            None => paths.push((path, route)),
        }
    }
    let app = Arc::clone(app);
    let mut router = Router::new();
    for (path, routes) in paths {
        router = router.route(path, routes);
    }
    router
        .method_not_allowed_fallback(|request: Request| async move {
            let detail = format!("{} does not take {}.", request.uri().path(), request.method());
            Problem::new(405, "METHOD_NOT_ALLOWED", detail).at_instance(request.uri().path())
        })
        .fallback(|request: Request| async move {
            let path = request.uri().path().to_string();
            Problem::new(404, "NOT_FOUND", format!("There is nothing at {path}.")).at_instance(&path)
        })
        .layer(axum::middleware::from_fn(move |request: Request, next: axum::middleware::Next| {
            let app = Arc::clone(&app);
            async move { with_cors(&app, request, next).await }
        }))
}

fn method_filter(name: &str) -> Result<MethodFilter, ()> {
    let method = Method::from_bytes(name.as_bytes()).map_err(drop)?;
    MethodFilter::try_from(method).map_err(drop)
}

async fn handle(app: Arc<App>, endpoint: Arc<Endpoint>, parameters: RawPathParams, request: Request) -> Response<Body> {
    let path = request.uri().path().to_string();
    match run(app, &endpoint, parameters, request).await {
        Ok(response) => response,
        Err(problem) => problem.at_instance(&path).into_response(),
    }
}

async fn run(app: Arc<App>, endpoint: &Endpoint, parameters: RawPathParams, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let user = match endpoint.scope {
        Scope::Open => User { name: "".into(), scope: Scope::Open, places: None },
        scope => {
            let user = app.access.user(&parts.headers).await?;
            user.require(scope)?;
            app.rates.check(&user.name)?;
            user
        }
    };
    let query = parts.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>();
    if endpoint.query.is_none()
        && let Some((name, _)) = query.first()
    {
        return Err(Problem::invalid(name, format!("There is no parameter {name}.")));
    }
    let body = read_body(&app, &parts.headers, body).await?;
    let parameters: HashMap<_, _> = parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    (endpoint.run)(Call { app, user, path_parameters: parameters, query, headers: parts.headers, body }).await
}

/// The whole body, within its size and time.
async fn read_body(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let most = app.options.body_bytes_max;
    let too_large = || Problem::new(413, "REQUEST_TOO_LARGE", format!("A request has at most {most} bytes."));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > most) {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match tokio::time::timeout(app.options.body_timeout, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Problem::new(400, "INVALID_REQUEST", format!("The body broke off: {error}."))),
        Err(_) => Err(Problem::new(408, "REQUEST_TIMEOUT", "The body did not come in time.")),
    }
}

/// Lets pages of the configured origins ask.
async fn with_cors(app: &App, request: Request, next: axum::middleware::Next) -> Response<Body> {
    let origins = &app.options.cors_origins;
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_allowed =
        |origin: &HeaderValue| origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes());
    let allowed = origin.filter(is_allowed);
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (is_preflight, &allowed) {
        (true, Some(_)) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
            let names = HeaderValue::from_static("authorization, content-type, accept, idempotency-key");
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            response
        }
        _ => next.run(request).await,
    };
    if let Some(origin) = allowed {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let names = HeaderValue::from_static("location, retry-after, idempotency-replayed, firesteel-job-id");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
    response
}
