//! SET, RESET, SET TIME ZONE, USE, and resources.
use firesteel_conf as conf;
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::statement::{SetConf, TimeZoneSetting};
use firesteel_plan::{SparkError, TableName};

use super::{Answer, Statement};
use crate::execution::Execution;
use crate::names::is_session_catalog;
use crate::rows::Rows;

const TIME_ZONE: &str = "spark.sql.session.timeZone";

fn key_value() -> Rows {
    Rows::texts(&["key", "value"])
}

pub fn set(st: &Statement, set: SetConf) -> Answer {
    let values = &st.session().conf;
    let rows = match set {
        SetConf::All => key_value()
            .with(values.explicit().into_iter().map(|(k, v)| vec![k.clone().into(), conf::redact(&k, &v).into()])),
        SetConf::AllVerbose => {
            let mut rows = Rows::texts(&["key", "value", "meaning", "Since version"]);
            for key in conf::all() {
                let value = values.get(key.name).unwrap_or_else(|| key.default.to_string());
                rows.push(vec![key.name.into(), conf::redact(key.name, &value).into(), "".into(), key.since.into()]);
            }
            rows
        }
        SetConf::Get(key) => {
            let value = values.get(&key).or_else(|| conf::default_value(&key, &|other| values.get(other)));
            let value = value.unwrap_or_else(|| "<undefined>".into());
            key_value().with([vec![key.clone().into(), conf::redact(&key, &value).into()]])
        }
        SetConf::Value(key, value) => {
            check(&key, &value)?;
            values.set(&key, &value);
            key_value().with([vec![key.into(), value.into()]])
        }
    };
    rows.into_execution()
}

fn check(key: &str, value: &str) -> Result<(), SparkError> {
    conf::check_modifiable(key)?;
    conf::check_value(key, value)
}

pub fn reset(st: &Statement, key: Option<String>) -> Answer {
    match key {
        Some(key) => {
            conf::check_modifiable(&key)?;
            st.session().conf.unset(&key);
        }
        None => st.session().conf.reset(),
    }
    Ok(Execution::empty())
}

pub async fn set_time_zone(st: &Statement, zone: TimeZoneSetting) -> Answer {
    let id = match zone {
        TimeZoneSetting::Local => "UTC".to_string(),
        TimeZoneSetting::Id(id) => id,
        TimeZoneSetting::Interval(expr) => {
            let origin = expr.origin.clone();
            let (value, _) = st.evaluate(&expr).await?;
            let micros = match value {
                datafusion::common::ScalarValue::DurationMicrosecond(Some(micros)) => micros,
                datafusion::common::ScalarValue::IntervalMonthDayNano(Some(v)) if v.months == 0 && v.days == 0 => {
                    v.nanoseconds / 1000
                }
                _ => return Err(invalid_offset().with_origin(origin.as_ref())),
            };
            let seconds = micros / 1_000_000;
            if micros % 1_000_000 != 0 || seconds.abs() > 18 * 3600 {
                return Err(invalid_offset().with_origin(origin.as_ref()));
            }
            let sign = if seconds < 0 { '-' } else { '+' };
            let (hours, minutes, rest) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
            if rest == 0 {
                format!("{sign}{hours:02}:{minutes:02}")
            } else {
                format!("{sign}{hours:02}:{minutes:02}:{rest:02}")
            }
        }
    };
    check(TIME_ZONE, &id)?;
    st.session().conf.set(TIME_ZONE, &id);
    key_value().with([vec![TIME_ZONE.into(), id.into()]]).into_execution()
}

fn invalid_offset() -> SparkError {
    SparkError::of("INVALID_TIMEZONE")
        .with_message("A time zone interval lies between -18 and +18 hours, in whole seconds.")
}

pub async fn set_catalog(st: &Statement, name: TableName) -> Answer {
    let parts = st.name(&name).await?;
    match parts.as_slice() {
        [catalog] if is_session_catalog(catalog) => {
            use_session_catalog(st);
            Ok(Execution::empty())
        }
        [catalog] if st.context.is_iceberg_catalog(catalog) => {
            super::iceberg::namespaces::use_namespace(st, &parts).await?;
            Ok(Execution::empty())
        }
        _ => Err(catalog_not_found(&parts.join("."))),
    }
}

/// Back in the session's catalog after another one, the namespace is the default one.
fn use_session_catalog(st: &Statement) {
    if !is_session_catalog(&st.session().namespace().catalog) {
        let key = "spark.sql.catalog.spark_catalog.defaultDatabase";
        st.session().use_database(&st.session().conf.get(key).unwrap_or_else(|| "default".into()));
    }
}

pub fn catalog_not_found(name: &str) -> SparkError {
    SparkError::new(
        "CATALOG_NOT_FOUND",
        [("catalogName", quote_identifier(name)), ("config", format!("\"spark.sql.catalog.{name}\""))],
    )
}

pub async fn use_namespace(st: &Statement, name: TableName) -> Answer {
    let parts = st.name(&name).await?;
    if let [catalog] = parts.as_slice()
        && is_session_catalog(catalog)
    {
        use_session_catalog(st);
        return Ok(Execution::empty());
    }
    if super::iceberg::namespaces::use_namespace(st, &parts).await?.is_some() {
        return Ok(Execution::empty());
    }
    let database = st.session().database_name(&parts)?;
    use_database(st, &database).await?;
    Ok(Execution::empty())
}

pub async fn use_database(st: &Statement, database: &str) -> Result<(), SparkError> {
    match st.catalog().get_database(database).await? {
        Some(found) => {
            st.session().use_database(&found.name);
            Ok(())
        }
        None => Err(firesteel_catalog::errors::schema_not_found(database)),
    }
}

/// ADD and LIST of files; jars and archives need Java.
pub fn resource(st: &Statement, action: &str, kind: &str, values: Vec<String>) -> Answer {
    let kind_upper = kind.to_uppercase();
    match (action.to_uppercase().as_str(), kind_upper.trim_end_matches('S')) {
        ("LIST", _) => {
            let prefix = format!("{}s/", kind_upper.trim_end_matches('S').to_lowercase());
            let names = st.session().artifacts().names().into_iter().filter(|name| name.starts_with(&prefix));
            let wanted = |name: &String| values.is_empty() || values.iter().any(|v| name.ends_with(v.as_str()));
            Rows::texts(&["Results"]).with(names.filter(wanted).map(|name| vec![name.into()])).into_execution()
        }
        ("ADD", "FILE") => {
            for value in values {
                let path = value.strip_prefix("file:").unwrap_or(&value);
                let data = std::fs::read(path)
                    .map_err(|e| SparkError::new("PATH_NOT_FOUND", [("path", value.as_str())]).with_cause(e))?;
                let name = path.rsplit('/').next().unwrap_or(path);
                st.session().artifacts().put(format!("files/{name}"), data.into())?;
            }
            Ok(Execution::empty())
        }
        _ => Err(SparkError::unsupported(format!("{action} {kind_upper}: it needs a Java virtual machine"))),
    }
}
