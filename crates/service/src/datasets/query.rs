//! `POST /v1/datasets/query`: columns, filters, order, pages.
use std::sync::Arc;

use firesteel_plan::{Expr, Literal, Plan, Relation, RelationKind};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::cursor::{Cursor, expired};
use super::order::{columns, orders, sorted, tie_breakers};
use super::read::{Reader, Rows, Stats};
use super::{DatasetFields, filter};
use crate::access::User;
use crate::app::{Answer, App, Call, json_text, run_options};
use crate::body::Fields;
use crate::credentials::Credentials;
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;
use crate::jobs::handlers::{Request, new_record};
use crate::jobs::record::Column;
use crate::problem::Problem;
use crate::rows::{Format, RowStyle};
use crate::statements::handlers::stream_job;

pub const DEFAULT_LIMIT: u64 = 1_000;

document! {
    /// Which rows and columns
    pub struct QueryFields {
        columns: Option<Vec<String>> => {"minItems": 1, "maxItems": 10000},
        /// {"age": {">": 25}, "department": "Engineering"}; also and, or, not
        filters: Option<Map<String, Value>>,
        /// "name", "-name" or {"column", "descending", "nulls"}
        order_by: Option<Vec<Value>> => {"maxItems": 100},
        limit: Option<u64> => {"minimum": 1, "maximum": 100000},
        /// Gives a cursor for the next page
        paginate: Option<bool>,
        /// Counts what matches
        include_total: Option<bool>,
        /// Of the page before; with it nothing but limit and credentials
        cursor: Option<String>,
    }
}

pub fn schema() -> Value {
    together(&[DatasetFields::schema(), QueryFields::schema(), credentials_field()])
}

pub fn answer_schema() -> Value {
    json!({"type": "object", "required": ["data", "columns", "truncated", "next_cursor", "stats"], "properties": {
        "data": {"type": "array", "items": {"type": "object"}}, "columns": Vec::<Column>::schema(),
        "truncated": {"type": "boolean"}, "next_cursor": {"type": ["string", "null"]}, "stats": Stats::schema()}})
}

pub async fn handle(call: Call) -> Answer {
    let format = Format::of_accept(&call.headers)?;
    let mut request = Request::of(&call)?;
    if request.run != Default::default() {
        let detail = "A query is answered at once: run long ones as statements.";
        return Err(Problem::invalid("wait", detail));
    }
    if format != Format::Json {
        return stream(request, format).await;
    }
    let fields = std::mem::take(&mut request.fields);
    page(Arc::clone(&call.app), call.user, request.credentials, fields).await
}

/// One page, with JSON.
pub async fn page(app: Arc<App>, user: User, credentials: Credentials, fields: Fields) -> Answer {
    let cancel = CancellationToken::new();
    let session = app.sessions.shared(&user, &credentials);
    let reader = Reader::new(session, cancel.clone());
    let secret = app.cursor_secret.clone();
    let text = app.work(cancel, async move { Page::read(fields, &secret, &user)?.run(reader, &secret, &user).await });
    Ok(json_text(200, text.await?))
}

/// What a page is made from: the request, or the one that its cursor holds.
struct Page {
    request: Value,
    dataset: DatasetFields,
    query: QueryFields,
    limit: u64,
    offset: u64,
    fingerprint: Option<u64>,
    is_paged: bool,
}

impl Page {
    fn read(mut fields: Fields, secret: &[u8], user: &User) -> Result<Self, Problem> {
        let mut page_limit = None;
        let (mut offset, mut fingerprint) = (0, None);
        let is_next = fields.has("cursor");
        if is_next {
            let given: QueryFields = fields.take()?;
            let allowed = QueryFields { cursor: given.cursor.clone(), limit: given.limit, ..Default::default() };
            if !fields.is_empty() || given != allowed {
                let detail = "A cursor stands for its query: only limit and credentials go with it.";
                return Err(Problem::invalid("cursor", detail));
            }
            let cursor = Cursor::decode(secret, given.cursor.as_deref().unwrap_or_default(), &user.name)?;
            (offset, fingerprint, page_limit) = (cursor.offset, cursor.fingerprint, given.limit);
            let Value::Object(request) = cursor.request else {
                return Err(Problem::internal("a cursor without a query"));
            };
            fields = Fields::of(request);
        }
        let request = fields.to_value();
        let dataset: DatasetFields = fields.take()?;
        let query: QueryFields = fields.rest()?;
        dataset.check()?;
        let limit = page_limit.or(query.limit).unwrap_or(DEFAULT_LIMIT);
        let is_paged = is_next || query.paginate.unwrap_or(false);
        Ok(Self { request, dataset, query, limit, offset, fingerprint, is_paged })
    }

    async fn run(mut self, mut reader: Reader, secret: &[u8], user: &User) -> Result<String, Problem> {
        let is_first = self.offset == 0;
        if self.is_paged && is_first && self.dataset.version.is_none() {
            self.pin(&mut reader).await?;
        }
        let matching = matching(&self.dataset, &self.query)?;
        if self.is_paged && self.dataset.version.is_none() {
            let now = reader.session.analyze(&matching).await?.data_fingerprint()?;
            if self.fingerprint.is_some_and(|before| before != now) {
                return Err(expired("The data has changed since the first page."));
            }
            self.fingerprint = Some(now);
        }
        let selected = self.ordered(&reader, matching.clone()).await?;
        let wanted = limited(selected, self.offset, self.limit + 1);
        let mut rows = reader.query(wanted, "query").await?;
        let has_more = rows.count() as u64 > self.limit;
        rows.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        let returned = rows.count() as u64;
        let total = match self.query.include_total {
            _ if !has_more => Some(self.offset + returned),
            Some(true) => Some(reader.count(matching).await?),
            _ => None,
        };
        let next = (has_more && self.is_paged).then(|| {
            let next = Cursor::new(&user.name, self.request.clone(), self.offset + returned, self.fingerprint);
            next.encode(secret)
        });
        answer(&rows, has_more, next, &reader.stats(returned, total))
    }

    /// The first page fixes the version that the others read.
    async fn pin(&mut self, reader: &mut Reader) -> Result<(), Problem> {
        if self.dataset.timestamp.is_some() {
            return Ok(());
        }
        if let Some(version) = reader.version(&self.dataset).await? {
            self.dataset.version = Some(version);
            self.request["version"] = json!(version);
        }
        Ok(())
    }

    /// The columns in their order. Pages need one that is the same each time: of a view's rows, and of ties.
    async fn ordered(&self, reader: &Reader, matching: Relation) -> Result<Relation, Problem> {
        let mut order = orders(self.query.order_by.as_deref().unwrap_or_default(), "order_by")?;
        if self.is_paged && (!order.is_empty() || self.is_view(reader).await?) {
            let schema = reader.session.analyze(&matching).await?.schema().clone();
            order.extend(tie_breakers(&schema));
        }
        select(sorted(matching, order), &self.query)
    }

    async fn is_view(&self, reader: &Reader) -> Result<bool, Problem> {
        match &self.dataset.table {
            None => Ok(false),
            Some(_) => Ok(reader.delta_target(&self.dataset).await?.is_none()),
        }
    }
}

/// The rows that a query's filters let through.
pub fn matching(dataset: &DatasetFields, query: &QueryFields) -> Result<Relation, Problem> {
    let relation = dataset.relation()?;
    match query.filters.as_ref().map(|filters| filter::condition(filters, "filters")).transpose()?.flatten() {
        Some(condition) => Ok(relation.filter(condition)),
        None => Ok(relation),
    }
}

/// The columns that a query asks for.
pub fn select(relation: Relation, query: &QueryFields) -> Result<Relation, Problem> {
    match &query.columns {
        Some(names) => Ok(relation.project(columns(names, "columns")?)),
        None => Ok(relation),
    }
}

pub fn limited(relation: Relation, offset: u64, limit: u64) -> Relation {
    let number = |n: u64| Expr::literal(Literal::Long(i64::try_from(n).unwrap_or(i64::MAX)));
    let integer = |n: u64| i32::try_from(n).map_or_else(|_| number(n), Expr::int);
    let relation = match offset {
        0 => relation,
        offset => Relation::new(RelationKind::Offset { input: Box::new(relation), offset: integer(offset) }),
    };
    Relation::new(RelationKind::Limit { input: Box::new(relation), limit: integer(limit) })
}

/// The text of an answer with rows.
pub fn answer(rows: &Rows, truncated: bool, next: Option<String>, stats: &Stats) -> Result<String, Problem> {
    let head = json!({"columns": rows.columns(), "truncated": truncated, "next_cursor": next, "stats": stats});
    let head = head.to_string();
    Ok(format!("{{\"data\":{},{}", rows.json()?, head.strip_prefix('{').unwrap_or(&head)))
}

/// Rows as they come, in another form than JSON.
async fn stream(mut request: Request, format: Format) -> Answer {
    let record = new_record(&request, "query");
    let mut fields = std::mem::take(&mut request.fields);
    let dataset: DatasetFields = fields.take()?;
    let query: QueryFields = fields.rest()?;
    let refused = [
        ("paginate", query.paginate.is_some()),
        ("cursor", query.cursor.is_some()),
        ("include_total", query.include_total.is_some()),
    ];
    if let Some((field, _)) = refused.iter().find(|(_, is_given)| *is_given) {
        return Err(Problem::invalid(*field, format!("{field} goes with JSON: here all rows are streamed.")));
    }
    let order = orders(query.order_by.as_deref().unwrap_or_default(), "order_by")?;
    let mut relation = select(sorted(matching(&dataset, &query)?, order), &query)?;
    if let Some(limit) = query.limit {
        relation = limited(relation, 0, limit);
    }
    let app = Arc::clone(&request.app);
    let session = app.sessions.shared(&request.user, &request.credentials);
    stream_job(app, record, format, move |id, cancel| async move {
        let execution = session.execute(Plan::Query(relation), run_options(&id, "query", &cancel)).await?;
        let style = RowStyle::new(&session, &execution.schema, &execution.arrow_schema)?;
        Ok((execution, style))
    })
    .await
}
