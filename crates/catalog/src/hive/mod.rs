//! The Hive metastore: a service that keeps databases and tables. It is asked in Thrift, by the calls that Iceberg's
//! `HiveCatalog` makes.
//!
//! | file | holds |
//! |---|---|
//! | here | databases and tables |
//! | [`locks`] | the lock under which one writer changes a table |
//! | [`calls`] | the calls, and what they may be refused with |
//! | [`connection`] | connections, kept and opened again |
//! | [`values`] | Thrift's values |
mod calls;
mod connection;
mod locks;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use firesteel_plan::Result;
use parking_lot::Mutex;

pub use calls::HiveFault;
use calls::{
    ALTER_DATABASE, ALTER_TABLE, CREATE_DATABASE, CREATE_TABLE, Call, DROP_DATABASE, DROP_TABLE, GET_ALL_DATABASES,
    GET_ALL_TABLES, GET_DATABASE, GET_TABLE, GET_TABLE_REQ, GET_TABLES, GET_TABLES_REQ,
};
use connection::{Address, Connections, addresses_of};
pub use connection::{HiveFailure, HiveResult};
pub use locks::HiveLock;
pub use values::{Fields as HiveFields, Value as HiveValue};

/// Metastores that are known; beyond that the one that was not asked for longest goes.
const MAX_METASTORES: usize = 64;
/// How many tables are asked for at once
const BATCH: usize = 200;
/// What this client can cope with: tables that only take inserts
const CAPABILITIES: &[i32] = &[2];

/// The numbers of a database's fields.
pub mod database {
    pub const NAME: i16 = 1;
    pub const DESCRIPTION: i16 = 2;
    pub const LOCATION: i16 = 3;
    pub const PARAMETERS: i16 = 4;
    pub const OWNER: i16 = 6;
    pub const OWNER_TYPE: i16 = 7;
}

/// The numbers of a table's fields.
pub mod table {
    pub const NAME: i16 = 1;
    pub const DATABASE: i16 = 2;
    pub const OWNER: i16 = 3;
    pub const CREATED: i16 = 4;
    pub const LAST_ACCESS: i16 = 5;
    pub const RETENTION: i16 = 6;
    pub const STORAGE: i16 = 7;
    pub const PARTITION_KEYS: i16 = 8;
    pub const PARAMETERS: i16 = 9;
    pub const KIND: i16 = 12;
}

/// The numbers of the fields of how a table is stored.
pub mod storage {
    pub const COLUMNS: i16 = 1;
    pub const LOCATION: i16 = 2;
    pub const INPUT_FORMAT: i16 = 3;
    pub const OUTPUT_FORMAT: i16 = 4;
    pub const SERDE: i16 = 7;
    /// Of its serde
    pub const SERDE_LIBRARY: i16 = 2;
    pub const SERDE_PARAMETERS: i16 = 3;
}

/// A Hive metastore.
#[derive(Debug)]
pub struct HiveMetastore {
    connections: Arc<Connections>,
}

/// The last asked for is the last.
static METASTORES: LazyLock<Mutex<Vec<Arc<HiveMetastore>>>> = LazyLock::new(Mutex::default);

impl HiveMetastore {
    /// The metastore at `thrift://host:port[,…]`, which has its connections for all who ask as the same user.
    pub fn open(uri: &str, user: &str, timeout: Duration) -> Result<Arc<Self>> {
        let address = Address { hosts: addresses_of(uri)?, user: user.to_string(), timeout };
        let mut known = METASTORES.lock();
        let metastore = match known.iter().position(|metastore| metastore.connections.address == address) {
            Some(place) => known.remove(place),
            None => Arc::new(Self { connections: Arc::new(Connections::new(address)) }),
        };
        known.push(Arc::clone(&metastore));
        if known.len() > MAX_METASTORES {
            known.remove(0);
        }
        Ok(metastore)
    }

    async fn call(&self, call: &'static Call, arguments: HiveFields) -> HiveResult<HiveFields> {
        self.connections.call(call, arguments).await
    }

    /// Databases in a metastore of several catalogs are those of its default catalog.
    pub async fn databases(&self) -> HiveResult<Vec<String>> {
        self.call(&GET_ALL_DATABASES, HiveFields::new()).await.map(texts)
    }

    /// `None`: there is no such database.
    pub async fn database(&self, name: &str) -> HiveResult<Option<HiveFields>> {
        let found = self.call(&GET_DATABASE, HiveFields::new().with(1, name)).await;
        there(found.map(|result| result.fields(0)))
    }

    pub async fn create_database(&self, database: HiveFields) -> HiveResult<()> {
        self.call(&CREATE_DATABASE, HiveFields::new().with(1, database)).await.map(|_| ())
    }

    pub async fn alter_database(&self, name: &str, database: HiveFields) -> HiveResult<()> {
        self.call(&ALTER_DATABASE, HiveFields::new().with(1, name).with(2, database)).await.map(|_| ())
    }

    /// Forgets a database without tables; its files stay. `false`: there is no such database.
    pub async fn drop_database(&self, name: &str) -> HiveResult<bool> {
        let arguments = HiveFields::new().with(1, name).with(2, false).with(3, false);
        there(self.call(&DROP_DATABASE, arguments).await).map(|done| done.is_some())
    }

    /// Names of all tables of a database, of whatever kind.
    pub async fn table_names(&self, database: &str) -> HiveResult<Vec<String>> {
        self.call(&GET_ALL_TABLES, HiveFields::new().with(1, database)).await.map(texts)
    }

    /// Tables of a database by their names. Those that are not there are left out.
    pub async fn tables(&self, database: &str, names: &[String]) -> HiveResult<Vec<HiveFields>> {
        let mut all = vec![];
        for names in names.chunks(BATCH) {
            let request = HiveFields::new().with(1, database).with(2, HiveValue::texts(names)).with(3, capabilities());
            let found = match self.call(&GET_TABLES_REQ, HiveFields::new().with(1, request)).await {
                Err(failure) if failure.fault() == Some(HiveFault::UnknownCall) => {
                    let arguments = HiveFields::new().with(1, database).with(2, HiveValue::texts(names));
                    self.call(&GET_TABLES, arguments).await?.remove(0)
                }
                found => found?.fields(0).remove(1),
            };
            all.extend(found.into_iter().flat_map(HiveValue::into_list).filter_map(HiveValue::into_fields));
        }
        Ok(all)
    }

    /// `None`: there is no such table.
    pub async fn table(&self, database: &str, name: &str) -> HiveResult<Option<HiveFields>> {
        let request = HiveFields::new().with(1, database).with(2, name).with(3, capabilities());
        let found = match self.call(&GET_TABLE_REQ, HiveFields::new().with(1, request)).await {
            // A metastore of before Hive 2.3
            Err(failure) if failure.fault() == Some(HiveFault::UnknownCall) => {
                let arguments = HiveFields::new().with(1, database).with(2, name);
                self.call(&GET_TABLE, arguments).await.map(|result| result.fields(0))
            }
            found => found.map(|result| result.fields(0).fields(1)),
        };
        there(found)
    }

    pub async fn create_table(&self, table: HiveFields) -> HiveResult<()> {
        self.call(&CREATE_TABLE, HiveFields::new().with(1, table)).await.map(|_| ())
    }

    /// Puts a table in place of the one of a name, which may get another name by it.
    pub async fn alter_table(
        &self,
        database: &str,
        name: &str,
        table: HiveFields,
        environment: &BTreeMap<String, String>,
    ) -> HiveResult<()> {
        let environment = HiveFields::new().with(1, environment);
        let arguments = HiveFields::new().with(1, database).with(2, name).with(3, table).with(4, environment);
        self.call(&ALTER_TABLE, arguments).await.map(|_| ())
    }

    /// Forgets a table; its files stay. `false`: there is no such table.
    pub async fn drop_table(&self, database: &str, name: &str) -> HiveResult<bool> {
        let environment = HiveFields::new().with(1, &BTreeMap::<String, String>::new());
        let arguments = HiveFields::new().with(1, database).with(2, name).with(3, false).with(4, environment);
        there(self.call(&DROP_TABLE, arguments).await).map(|done| done.is_some())
    }
}

fn capabilities() -> HiveFields {
    let all = CAPABILITIES.iter().map(|capability| (*capability).into()).collect();
    HiveFields::new().with(1, HiveValue::List(thrift::protocol::TType::I32, all))
}

/// What is not there is no failure.
fn there<T>(found: HiveResult<T>) -> HiveResult<Option<T>> {
    match found {
        Err(failure) if matches!(failure.fault(), Some(HiveFault::NoSuchObject | HiveFault::UnknownDb)) => Ok(None),
        found => found.map(Some),
    }
}

fn texts(mut result: HiveFields) -> Vec<String> {
    let all = result.remove(0).map(HiveValue::into_list).unwrap_or_default();
    all.iter().filter_map(|value| value.text().map(str::to_string)).collect()
}
