//! Clients that are open. One is shared by all who use a bucket or name service with the same settings, and by nobody else.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use firesteel_plan::Result;
use parking_lot::Mutex;

use crate::file_system::FileSystem;
use crate::hdfs;
use crate::location::Location;
use crate::remote::{KINDS, RemoteFiles};
use crate::settings::relevant;

/// Clients that are kept; beyond that the one that was not asked for longest goes.
const MAX_CLIENTS: usize = 256;

#[derive(PartialEq, Eq)]
struct Identity {
    scheme: String,
    authority: String,
    /// With secrets: compared, never shown
    settings: BTreeMap<String, String>,
}

/// The last asked for is the last.
static CLIENTS: LazyLock<Mutex<Vec<(Identity, Arc<dyn FileSystem>)>>> = LazyLock::new(Mutex::default);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The file system of a location that is not local; `None` for a scheme that nobody knows.
pub(crate) fn file_system(
    location: &Location,
    settings: &BTreeMap<String, String>,
) -> Result<Option<Arc<dyn FileSystem>>> {
    let scheme = location.scheme();
    let kind = KINDS.iter().find(|kind| kind.schemes.contains(&scheme));
    let prefixes = match kind {
        Some(kind) => kind.prefixes,
        None if hdfs::SCHEMES.contains(&scheme) => hdfs::PREFIXES,
        None => return Ok(None),
    };
    let settings = relevant(settings, prefixes);
    let identity = Identity { scheme: location.scheme().into(), authority: location.authority().into(), settings };
    let mut clients = CLIENTS.lock();
    let files = match clients.iter().position(|(known, _)| *known == identity) {
        Some(index) => clients.remove(index).1,
        None => {
            let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            match kind {
                Some(kind) => Arc::new(RemoteFiles::open(location, &identity.settings, kind, id)?),
                None => hdfs::open(location, &identity.settings, id)?,
            }
        }
    };
    clients.push((identity, Arc::clone(&files)));
    if clients.len() > MAX_CLIENTS {
        clients.remove(0);
    }
    Ok(Some(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shared() {
        let settings = |secret: &str| -> BTreeMap<String, String> {
            [("fs.s3a.access.key", "id"), ("fs.s3a.secret.key", secret), ("fs.s3a.endpoint", "http://127.0.0.1:1")]
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .into()
        };
        let place = Location::parse("s3a://bucket/x").unwrap();
        let open = |secret| file_system(&place, &settings(secret)).unwrap().unwrap();
        let (one, again, other) = (open("tell-nobody"), open("tell-nobody"), open("another"));
        assert_eq!(one.store_url(), again.store_url());
        assert_ne!(one.store_url(), other.store_url());
        let shown = format!("{one:?} {:?} {}", one.object_store(), one.object_store());
        assert!(!shown.contains("tell-nobody"), "{shown}");
        assert!(file_system(&Location::parse("/tmp").unwrap(), &BTreeMap::new()).unwrap().is_none());
    }
}
