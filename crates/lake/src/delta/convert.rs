//! Files that are there already as files of a table.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::ScalarValue;
use deltalake_core::kernel::Add;
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::Location;
use parquet::file::metadata::ParquetMetaData;

use super::metadata::TableMetadata;
use crate::scan::Scan;

/// The files of a scan below `root`, with their statistics if wanted.
pub async fn describe_files(
    scan: &Scan,
    root: &Location,
    metadata: &TableMetadata,
    statistics: bool,
) -> Result<Vec<Add>> {
    let statuses: Vec<_> = scan.files().iter().map(|file| &file.status).collect();
    let footers: Vec<Option<Arc<ParquetMetaData>>> = match statistics {
        true => {
            crate::parquet::footers(scan.file_system(), &statuses).await?.into_iter().map(|(_, f)| Some(f)).collect()
        }
        false => vec![None; statuses.len()],
    };
    let is_data = |name: &str| !metadata.is_partition_column(name);
    let fields = metadata.schema.fields.iter().filter(|f| is_data(&f.name)).cloned();
    let schema = StructType::new(fields.collect());
    // Whether floats are NaN is not in a footer: their bounds are left out.
    let floats: HashSet<String> = schema.fields.iter().map(|f| f.name.clone()).collect();
    let mut adds = vec![];
    for (file, footer) in scan.files().iter().zip(footers) {
        let relative = file.status.location.relative_to(root);
        let path =
            relative.ok_or_else(|| SparkError::internal(format!("{} is not in the table", file.status.location)))?;
        let values = scan.partition_schema().fields.iter().zip(&file.partition_values);
        let values = values
            .map(|(field, value)| Ok((field.name.clone(), text_of(value)?)))
            .collect::<Result<HashMap<_, _>>>()?;
        adds.push(Add {
            path: path.to_string(),
            partition_values: values,
            size: i64::try_from(file.status.size).unwrap_or(i64::MAX),
            modification_time: file.status.modified_us / 1000,
            data_change: true,
            stats: footer.map(|footer| super::statistics::of_file(&footer, &schema, 32, &floats)),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        });
    }
    Ok(adds)
}

fn text_of(value: &ScalarValue) -> Result<Option<String>> {
    let failed = |e: datafusion::common::DataFusionError| SparkError::internal(e.to_string());
    let text = value.cast_to(&arrow::datatypes::DataType::Utf8).map_err(failed)?;
    Ok(text.try_as_str().flatten().map(str::to_string))
}
