//! The table of endpoints: the router and `/openapi.json` are made from it.
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::access::Scope;
use crate::app::{Answer, Call};
use crate::document::{Documented, together};
use crate::jobs::handlers as jobs;
use crate::jobs::record;
use crate::statements::StatementRequest;
use crate::statements::handlers as statements;
use crate::{changes, datasets, info};

pub struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub scope: Scope,
    pub tag: &'static str,
    pub summary: &'static str,
    /// Schema of the query's parameters
    pub query: Option<fn() -> Value>,
    /// Schema of the body
    pub request: Option<fn() -> Value>,
    pub answers: &'static [(u16, Content)],
    pub run: fn(Call) -> BoxFuture<'static, Answer>,
}

/// What an answer holds.
#[derive(Clone, Copy)]
pub enum Content {
    Json(fn() -> Value),
    /// JSON, or rows in the form of `Accept`
    Rows(fn() -> Value),
    Events,
    Html,
    Nothing,
}

fn statement() -> Value {
    record::schema(true)
}

fn job() -> Value {
    record::schema(false)
}

macro_rules! endpoints {
    ($($method:literal $path:literal $scope:ident $tag:literal $summary:literal
       ($($query:expr)?) ($($request:expr)?) [$($status:literal $content:expr),*] $run:expr;)*) => {
        pub fn all() -> Vec<Endpoint> {
            vec![$(Endpoint {
                method: $method, path: $path, scope: Scope::$scope, tag: $tag, summary: $summary,
                query: endpoints!(@optional $($query)?), request: endpoints!(@optional $($request)?),
                answers: &[$(($status, $content)),*],
                run: |call| $run(call).boxed(),
            }),*]
        }
    };
    (@optional $given:expr) => { Some($given) };
    (@optional) => { None };
}

use Content::{Events, Html, Json, Nothing, Rows};

endpoints! {
    "GET" "/healthz" Open "service" "Says that the server answers" () () [200 Json(info::health_schema)] info::health;
    "GET" "/openapi.json" Open "service" "This description" () () [200 Json(info::any_object)] info::openapi;
    "GET" "/docs" Open "service" "A page to read and try it" () () [200 Html] info::docs;
    "GET" "/v1/session" Read "service" "About the server and the user" () () [200 Json(info::session_schema)] info::session;

    "POST" "/v1/statements" Read "statements" "Run SQL"
        () (statements::request_schema) [200 Rows(statement), 202 Json(statement)] statements::submit;
    "GET" "/v1/statements/{id}" Read "statements" "The state of a statement, and its first rows"
        (jobs::WaitQuery::schema) () [200 Json(statement)] statements::get;
    "GET" "/v1/statements/{id}/events" Read "statements" "Progress as server-sent events" () () [200 Events] jobs::events;
    "GET" "/v1/statements/{id}/chunks/{index}" Read "statements" "A part of the rows"
        () () [200 Rows(statements::chunk_schema)] statements::chunk;
    "GET" "/v1/statements/{id}/rows" Read "statements" "All rows"
        () () [200 Rows(info::array_of_objects)] statements::rows;
    "POST" "/v1/statements/{id}/cancel" Read "statements" "Stop a statement" () () [200 Json(statement)] jobs::cancel;
    "DELETE" "/v1/statements/{id}" Read "statements" "Forget a statement and its rows" () () [204 Nothing] jobs::delete;

    "POST" "/v1/datasets/query" Read "datasets" "Read rows"
        () (datasets::query::schema) [200 Rows(datasets::query::answer_schema)] datasets::query::handle;
    "POST" "/v1/datasets/sample" Read "datasets" "Read some rows by chance"
        () (datasets::sample::schema) [200 Rows(datasets::query::answer_schema)] datasets::sample::handle;
    "POST" "/v1/datasets/summary" Read "datasets" "Figures about columns"
        () (datasets::summary::schema) [200 Json(datasets::summary::answer_schema)] datasets::summary::handle;
    "POST" "/v1/datasets/count" Read "datasets" "Count rows"
        () (datasets::count::schema) [200 Json(datasets::count::answer_schema)] datasets::count::handle;
    "POST" "/v1/datasets/schema" Read "datasets" "The columns"
        () (datasets::describe::schema) [200 Json(datasets::describe::answer_schema)] datasets::describe::handle;
    "POST" "/v1/datasets/partitions" Read "datasets" "The partitions"
        () (datasets::partitions::schema) [200 Json(datasets::partitions::answer_schema)] datasets::partitions::handle;

    "GET" "/v1/tables" Read "tables" "Tables of the catalog"
        (datasets::tables::ListQuery::schema) () [200 Json(datasets::tables::list_schema)] datasets::tables::list;
    "GET" "/v1/tables/{name}" Read "tables" "The columns of a table"
        () () [200 Json(datasets::describe::answer_schema)] datasets::tables::describe;
    "GET" "/v1/tables/{name}/rows" Read "tables" "Rows of a table, page by page"
        (datasets::tables::RowsQuery::schema) () [200 Rows(datasets::query::answer_schema)] datasets::tables::rows;

    "POST" "/v1/datasets/modify" Write "changes" "Write changed rows to another place"
        () (changes::modify::schema) [200 Json(job), 202 Json(job)] changes::submit_modify;
    "POST" "/v1/datasets/merge" Write "changes" "Write the rows of many files to one place"
        () (changes::merge_files::schema) [200 Json(job), 202 Json(job)] changes::submit_merge_files;
    "POST" "/v1/delta/update" Write "delta" "Change rows"
        () (changes::delta::update_schema) [200 Json(job), 202 Json(job)] changes::submit_update;
    "POST" "/v1/delta/delete" Write "delta" "Delete rows"
        () (changes::delta::delete_schema) [200 Json(job), 202 Json(job)] changes::submit_delete;
    "POST" "/v1/delta/merge" Write "delta" "Insert, update and delete rows by those of a source"
        () (changes::upsert::schema) [200 Json(job), 202 Json(job)] changes::submit_upsert;
    "POST" "/v1/delta/optimize" Write "delta" "Put small files together"
        () (changes::delta::optimize_schema) [200 Json(job), 202 Json(job)] changes::submit_optimize;
    "POST" "/v1/delta/vacuum" Write "delta" "Remove files that no version needs"
        () (changes::delta::vacuum_schema) [200 Json(job), 202 Json(job)] changes::submit_vacuum;
    "POST" "/v1/delta/restore" Write "delta" "Go back to a version"
        () (changes::delta::restore_schema) [200 Json(job), 202 Json(job)] changes::submit_restore;
    "POST" "/v1/delta/history" Read "delta" "The versions of a table"
        () (changes::delta::history_schema) [200 Json(changes::delta::history_answer)] changes::delta::history;

    "GET" "/v1/jobs" Read "jobs" "Jobs, newest first"
        (jobs::ListQuery::schema) () [200 Json(jobs::list_schema)] jobs::list;
    "GET" "/v1/jobs/{id}" Read "jobs" "The state of a job" (jobs::WaitQuery::schema) () [200 Json(job)] jobs::get;
    "GET" "/v1/jobs/{id}/events" Read "jobs" "Progress as server-sent events" () () [200 Events] jobs::events;
    "POST" "/v1/jobs/{id}/cancel" Read "jobs" "Stop a job" () () [200 Json(job)] jobs::cancel;
    "POST" "/v1/jobs/{id}/retry" Read "jobs" "Run a job again"
        () (jobs::retry_schema) [200 Json(job), 202 Json(job)] jobs::retry;
    "DELETE" "/v1/jobs/{id}" Read "jobs" "Forget a job" () () [204 Nothing] jobs::delete;
}

/// The schema of a statement's request with all its groups of fields.
pub fn statement_request() -> Value {
    together(&[StatementRequest::schema(), jobs::RunFields::schema(), credentials_field()])
}

/// The field `credentials`, which many requests have.
pub fn credentials_field() -> Value {
    let credentials = Option::<crate::credentials::CredentialFields>::schema();
    json!({"properties": {"credentials": credentials}, "required": []})
}
