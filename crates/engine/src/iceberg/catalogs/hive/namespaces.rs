//! Databases of a metastore as namespaces: a few fields of their own, and parameters.
use firesteel_catalog::hive::{HiveFields, database};
use firesteel_plan::Result;

use super::settings::HiveSettings;
use super::{Properties, illegal};

const COMMENT: &str = "comment";
const LOCATION: &str = "location";
const OWNER: &str = "hive.metastore.database.owner";
const OWNER_TYPE: &str = "hive.metastore.database.owner-type";
/// Kinds of owners, by the metastore's numbers
const OWNER_TYPES: &[(&str, i32)] = &[("USER", 1), ("ROLE", 2), ("GROUP", 3)];

pub fn properties_of(found: &HiveFields) -> Properties {
    let mut properties = found.map(database::PARAMETERS);
    let own = [(LOCATION, database::LOCATION), (COMMENT, database::DESCRIPTION), (OWNER, database::OWNER)];
    for (key, field) in own {
        properties.extend(found.text(field).map(|value| (key.to_string(), value.to_string())));
    }
    let number = found.long(database::OWNER_TYPE).filter(|_| found.text(database::OWNER).is_some());
    let kind = OWNER_TYPES.iter().find(|(_, known)| number == Some(i64::from(*known)));
    properties.extend(kind.map(|(name, _)| (OWNER_TYPE.to_string(), (*name).to_string())));
    properties
}

/// The owner and what kind of owner it is change together.
pub fn check_owner<'a>(keys: impl Iterator<Item = &'a String>) -> Result<()> {
    let found: Vec<&str> = keys.map(String::as_str).filter(|key| [OWNER, OWNER_TYPE].contains(key)).collect();
    match found.contains(&OWNER) == found.contains(&OWNER_TYPE) {
        true => Ok(()),
        false => Err(illegal(format!("{OWNER} and {OWNER_TYPE} have to be set or removed together"))),
    }
}

pub fn new_database(settings: &HiveSettings, name: &str, properties: &Properties) -> Result<HiveFields> {
    if properties.contains_key(OWNER_TYPE) && !properties.contains_key(OWNER) {
        return Err(illegal(format!("{OWNER_TYPE} without {OWNER} is not allowed")));
    }
    let mut made = HiveFields::new().with(database::NAME, name);
    describe(settings, &mut made, properties)?;
    Ok(made)
}

/// Has a database say what its properties are; what else is known of it stays.
pub fn describe(settings: &HiveSettings, found: &mut HiveFields, properties: &Properties) -> Result<()> {
    let mut parameters = properties.clone();
    let name = found.text(database::NAME).unwrap_or_default().to_lowercase();
    let default = settings.warehouse.as_ref().map(|warehouse| format!("{warehouse}/{name}.db"));
    let own = [
        (database::LOCATION, parameters.remove(LOCATION).or(default)),
        (database::DESCRIPTION, parameters.remove(COMMENT)),
    ];
    for (field, value) in own {
        match value {
            Some(value) => found.set(field, value),
            None => drop(found.remove(field)),
        }
    }
    let kind = parameters.remove(OWNER_TYPE);
    let kind = match kind.as_deref() {
        None => Some(1),
        Some(kind) => OWNER_TYPES.iter().find(|(name, _)| *name == kind).map(|(_, number)| *number),
    };
    let kind = kind.ok_or_else(|| illegal(format!("{OWNER_TYPE} must be USER, ROLE or GROUP")))?;
    found.set(database::OWNER, parameters.remove(OWNER).unwrap_or_else(|| settings.user.clone()));
    found.set(database::OWNER_TYPE, kind);
    found.set(database::PARAMETERS, &parameters);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> HiveSettings {
        let own = Properties::from([("uri".into(), "thrift://a".into()), ("warehouse".into(), "/w".into())]);
        HiveSettings::of(&super::super::Settings { name: "h".into(), properties: own }, &Properties::new(), "us")
            .unwrap()
    }

    #[test]
    fn properties_go_round() {
        let mut properties: Properties = [("k", "v"), (COMMENT, "why"), (OWNER, "them"), (OWNER_TYPE, "ROLE")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        let mut made = new_database(&settings(), "Db", &properties).unwrap();
        assert_eq!(made.text(database::LOCATION), Some("/w/db.db"));
        properties.insert(LOCATION.into(), "/w/db.db".into());
        assert_eq!(properties_of(&made), properties);
        // What this client knows nothing of stays.
        made.set(99, "new");
        properties.remove(COMMENT);
        describe(&settings(), &mut made, &properties).unwrap();
        assert_eq!((properties_of(&made), made.text(99)), (properties, Some("new")));
    }

    #[test]
    fn owners() {
        let of = |keys: &[&str]| check_owner(keys.iter().map(|key| key.to_string()).collect::<Vec<_>>().iter());
        assert!(of(&[OWNER, OWNER_TYPE, "k"]).is_ok() && of(&["k"]).is_ok());
        assert!(of(&[OWNER]).is_err() && of(&[OWNER_TYPE]).is_err());
        let made = new_database(&settings(), "db", &Properties::new()).unwrap();
        assert_eq!((made.text(database::OWNER), made.long(database::OWNER_TYPE)), (Some("us"), Some(1)));
        let wrong = Properties::from([(OWNER_TYPE.into(), "USER".into())]);
        assert!(new_database(&settings(), "db", &wrong).is_err());
    }
}
