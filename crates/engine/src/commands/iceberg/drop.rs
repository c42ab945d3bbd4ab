//! DROP TABLE of Iceberg's catalogs.
use firesteel_lake::iceberg::{IcebergTable, TableFiles, TableHome};
use firesteel_plan::Result;

use crate::commands::Statement;
use crate::execution::Execution;

/// The directory of a folder goes, as it does in Spark; a database or metastore forgets the table, whose files stay unless
/// they are to go; a service is told.
/// `None`: the name is not one of Iceberg's catalogs.
pub async fn drop_outside(st: &Statement, name: &[String], if_exists: bool, purge: bool) -> Result<Option<Execution>> {
    let Some((name, home)) = st.context.iceberg_home(name)? else { return Ok(None) };
    let was_there = match &home {
        TableHome::Pointer(pointer) => {
            let found = match purge {
                true => IcebergTable::find_home(&home, &st.context.storage()).await?,
                false => None,
            };
            let files = match &found {
                Some(table) => Some(TableFiles::of(table).await?),
                None => None,
            };
            let was_there = pointer.remove().await?;
            if let (Some(files), true) = (files, was_there) {
                files.remove().await;
            }
            was_there
        }
        TableHome::Service(service) => service.remove(purge).await?,
        TableHome::Directory(location) => {
            let found = IcebergTable::find(location, &st.context.storage()).await?;
            if found.is_some() {
                crate::commands::table::remove_files(st, &location.to_string()).await?;
            }
            found.is_some()
        }
    };
    st.session().cache.invalidate_relations();
    match was_there || if_exists {
        true => Ok(Some(Execution::empty())),
        false => Err(st.table_not_found(&name)),
    }
}
