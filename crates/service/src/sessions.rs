//! Sessions of the engine for requests: made for one statement, or kept for the next request that looks the same.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_engine::{Engine, ExecuteOptions, Session};
use firesteel_plan::command::SqlStatement;
use firesteel_plan::{Command, Plan, TableName};
use parking_lot::Mutex;

use crate::access::User;
use crate::credentials::{Credentials, refuse_settings};
use crate::problem::Problem;

const KEPT_MAX: usize = 256;
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    user: Arc<str>,
    places: Vec<String>,
    credentials: [u8; 32],
}

/// Makes and keeps sessions.
pub struct Sessions {
    engine: Engine,
    kept: Mutex<HashMap<Key, (Instant, Arc<Session>)>>,
}

impl Sessions {
    pub fn new(engine: Engine) -> Self {
        Self { engine, kept: Mutex::default() }
    }

    /// A session of its own.
    pub fn fresh(&self, user: &User, credentials: &Credentials) -> Arc<Session> {
        let session = self.engine.new_session(&user.name, &uuid::Uuid::new_v4().to_string());
        if let Some(places) = &user.places {
            session.limit_places(Arc::clone(places));
        }
        for (key, value) in credentials.settings() {
            session.conf().set(key, value);
        }
        session
    }

    /// A session in which only plans of ours run, which leave nothing behind.
    pub fn shared(&self, user: &User, credentials: &Credentials) -> Arc<Session> {
        let places = user.places.iter().flat_map(|places| places.iter().map(ToString::to_string)).collect();
        let key = Key { user: Arc::clone(&user.name), places, credentials: credentials.fingerprint() };
        let mut kept = self.kept.lock();
        if let Some((used, session)) = kept.get_mut(&key) {
            *used = Instant::now();
            return Arc::clone(session);
        }
        kept.retain(|_, (used, _)| used.elapsed() < KEPT_FOR);
        if kept.len() >= KEPT_MAX
            && let Some(oldest) = kept.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone())
        {
            kept.remove(&oldest);
        }
        let session = self.fresh(user, credentials);
        // Few rows of many are wanted here: columns that a filter does not need are decoded for the rows it lets through.
        session.conf().set("firesteel.sql.parquet.pushdownFilters", "true");
        kept.insert(key, (Instant::now(), Arc::clone(&session)));
        session
    }

    pub fn forget_unused(&self) {
        self.kept.lock().retain(|_, (used, _)| used.elapsed() < KEPT_FOR);
    }
}

/// Sets what a request says of its session.
pub async fn configure(
    session: &Arc<Session>,
    catalog: Option<&str>,
    schema: Option<&str>,
    conf: &BTreeMap<String, String>,
) -> Result<(), Problem> {
    refuse_settings(conf.keys(), "conf")?;
    for (key, value) in conf {
        let checked = firesteel_conf::check_modifiable(key).and_then(|()| firesteel_conf::check_value(key, value));
        checked.map_err(|error| Problem::from(error).at(format!("conf.{key}")))?;
        session.conf().set(key, value);
    }
    let name: Vec<String> = catalog.into_iter().chain(schema).map(String::from).collect();
    let statement = match (catalog, schema) {
        (_, Some(_)) => SqlStatement::UseNamespace { name: TableName::Parts(name) },
        (Some(_), None) => SqlStatement::SetCatalog { name: TableName::Parts(name) },
        (None, None) => return Ok(()),
    };
    let plan = Plan::Command(Command::Sql(Box::new(statement)));
    let done = session.execute(plan, ExecuteOptions::default()).await;
    let field = if schema.is_some() { "schema" } else { "catalog" };
    done.map(drop).map_err(|error| Problem::from(error).at(field))
}
