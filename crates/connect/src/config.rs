//! `Config`: the session's configuration, over the registry of keys.
use firesteel_conf as conf;
use firesteel_engine::SessionConf;
use firesteel_plan::{Result, SparkError};
use proto::config_request::operation::OpType;
use spark_connect_proto as proto;

/// What a config operation answers: pairs, and warnings that PySpark shows to its user.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub pairs: Vec<proto::KeyValue>,
    pub warnings: Vec<String>,
}

impl Answer {
    fn add(&mut self, key: &str, value: Option<String>) {
        self.pairs.push(proto::KeyValue { key: key.into(), value });
    }
}

pub(crate) fn config(session: &SessionConf, operation: Option<proto::config_request::Operation>) -> Result<Answer> {
    let operation = operation.and_then(|operation| operation.op_type);
    let operation = operation.ok_or_else(|| {
        SparkError::new(
            "CONNECT_INVALID_PLAN.INVALID_ONE_OF_FIELD_NOT_SET",
            [("fullName", "spark.connect.ConfigRequest.Operation"), ("name", "op_type")],
        )
    })?;
    let mut answer = Answer::default();
    match operation {
        OpType::Set(set) => {
            let silent = set.silent.unwrap_or(false);
            for pair in set.pairs {
                match set_one(session, &pair) {
                    Ok(()) => {
                        answer.warnings.extend(conf::warning(&pair.key));
                        answer.add(&pair.key, pair.value);
                    }
                    // The builder sets all of its options this way: those that cannot change stay as they are.
                    Err(error) if silent => answer.warnings.push(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
        }
        OpType::Get(get) => {
            for key in &get.keys {
                let value = value(session, key)
                    .ok_or_else(|| SparkError::new("SQL_CONF_NOT_FOUND", [("sqlConf", format!("\"{key}\""))]))?;
                answer.add(key, Some(value));
            }
        }
        OpType::GetWithDefault(get) => {
            for pair in get.pairs {
                // The caller's default goes before the registry's.
                let set = if session.is_set(&pair.key) { session.get(&pair.key) } else { None };
                if let Some(default) = &pair.value {
                    conf::check_value(&pair.key, default)?;
                }
                let value = set.or(pair.value).or_else(|| value(session, &pair.key));
                answer.add(&pair.key, value);
            }
        }
        OpType::GetOption(get) => {
            for key in &get.keys {
                answer.add(key, value(session, key));
            }
        }
        OpType::GetAll(get) => {
            let prefix = get.prefix.unwrap_or_default();
            for (key, value) in session.explicit() {
                if let Some(rest) = key.strip_prefix(&prefix) {
                    // Programs read these: only secrets are hidden.
                    let value = if conf::is_secret(&key) { conf::redact(&key, &value) } else { value };
                    answer.pairs.push(proto::KeyValue { key: rest.into(), value: Some(value) });
                }
            }
        }
        OpType::Unset(unset) => {
            for key in &unset.keys {
                conf::check_modifiable(key)?;
                session.unset(key);
                answer.add(key, None);
            }
        }
        OpType::IsModifiable(modifiable) => {
            for key in &modifiable.keys {
                answer.add(key, Some(conf::is_modifiable(key).to_string()));
            }
        }
    }
    Ok(answer)
}

fn set_one(session: &SessionConf, pair: &proto::KeyValue) -> Result<()> {
    conf::check_modifiable(&pair.key)?;
    match &pair.value {
        Some(value) => {
            conf::check_value(&pair.key, value)?;
            session.set(&pair.key, value);
        }
        None => session.unset(&pair.key),
    }
    Ok(())
}

/// Set, or the registry's default.
fn value(session: &SessionConf, key: &str) -> Option<String> {
    session.get(key).or_else(|| conf::default_value(key, &|other| session.get(other)))
}
