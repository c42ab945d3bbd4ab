//! The stores that plans read from.
use std::sync::Arc;

use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use parking_lot::Mutex;
use url::Url;

/// Stores that are kept; beyond that the one that was not asked for longest goes.
const MAX_STORES: usize = 1024;

/// Stores by URL. DataFusion's own registry keeps all that it was ever given, and with them the credentials of sessions
/// that have ended.
#[derive(Debug, Default)]
pub struct StoreRegistry {
    /// The last asked for is the last.
    stores: Mutex<Vec<(Url, Arc<dyn ObjectStore>)>>,
}

impl ObjectStoreRegistry for StoreRegistry {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        let mut stores = self.stores.lock();
        let known = stores.iter().position(|(known, _)| known == url);
        let previous = known.map(|index| stores.remove(index).1);
        stores.push((url.clone(), store));
        if stores.len() > MAX_STORES {
            stores.remove(0);
        }
        previous
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.stores.lock();
        let known = stores.iter().position(|(known, _)| known == url);
        known.map(|index| stores.remove(index).1).ok_or_else(|| unknown(url))
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.stores.lock();
        let index = stores.iter().rposition(|(known, _)| known == url).ok_or_else(|| unknown(url))?;
        let found = stores.remove(index);
        let store = Arc::clone(&found.1);
        stores.push(found);
        Ok(store)
    }
}

fn unknown(url: &Url) -> datafusion::common::DataFusionError {
    exec_datafusion_err!("there is no store for {url}")
}
