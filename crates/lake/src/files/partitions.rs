//! Partition discovery: `…/year=2024/month=1/file` → columns `year`, `month`.
use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use firesteel_functions::context::time_zone_or_utc;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use firesteel_storage::Location;

use super::infer_value::{cast_partition_value, infer_type, widen};
use super::listing::Listing;
use super::names::{HIVE_DEFAULT_PARTITION, unescape_path_name};
use crate::request::{ScanRequest, TablePartition};

/// The partition columns of a read and the values of each directory.
#[derive(Debug, Default)]
pub struct PartitionLayout {
    pub schema: StructType,
    /// Directory of data files → values of the columns.
    pub directories: BTreeMap<Location, Vec<ScalarValue>>,
}

impl PartitionLayout {
    /// The values for a file; `None` for a file outside every partition, which Spark does not read.
    pub fn values(&self, file: &Location) -> Option<Vec<ScalarValue>> {
        if self.schema.fields.is_empty() {
            return Some(vec![]);
        }
        self.directories.get(&file.parent()?).cloned()
    }
}

/// The raw values of a directory: column → text, `None` for the null partition.
type RawValues = Vec<(String, Option<String>)>;

/// Finds the partition columns of a listing, with types inferred or taken from the request's schema.
pub fn discover(request: &ScanRequest, listing: &Listing) -> Result<PartitionLayout> {
    if let Some(partitions) = &request.partitions {
        return from_catalog(request, partitions, listing);
    }
    if request.options.flag("recursiveFileLookup", false)? {
        return Ok(PartitionLayout::default());
    }
    let bases = base_paths(request, listing)?;
    let mut raw: BTreeMap<Location, RawValues> = BTreeMap::new();
    let mut found_bases: Vec<Location> = vec![];
    for file in &listing.data {
        let Some(directory) = file.location.parent() else { continue };
        if raw.contains_key(&directory) {
            continue;
        }
        if let Some((base, values)) = parse_directory(&directory, &bases) {
            if !found_bases.contains(&base) {
                found_bases.push(base);
            }
            raw.insert(directory, values);
        }
    }
    if found_bases.len() > 1 {
        let list: Vec<_> = found_bases.iter().map(|base| format!("\n\t{base}")).collect();
        return Err(SparkError::new("CONFLICTING_DIRECTORY_STRUCTURES", [("discoveredBasePaths", list.concat())]));
    }
    let schema = partition_schema(request, &raw)?;
    layout(request, schema, raw)
}

/// The partitions that a catalog keeps; files of a directory belong to the partition closest above them.
fn from_catalog(request: &ScanRequest, partitions: &[TablePartition], listing: &Listing) -> Result<PartitionLayout> {
    let schema = declared_without_files(request);
    let mut places = vec![];
    for partition in partitions {
        places.push((Location::parse(&partition.location)?, partition));
    }
    let mut raw: BTreeMap<Location, RawValues> = BTreeMap::new();
    for file in &listing.data {
        let Some(directory) = file.location.parent() else { continue };
        let above = places.iter().filter(|(place, _)| directory.relative_to(place).is_some());
        let closest = above.max_by_key(|(place, _)| place.path().len());
        if let Some((_, partition)) = closest
            && !raw.contains_key(&directory)
        {
            raw.insert(directory, partition.values.clone());
        }
    }
    layout(request, schema, raw)
}

/// The values of each directory, as the columns' types.
fn layout(request: &ScanRequest, schema: StructType, raw: BTreeMap<Location, RawValues>) -> Result<PartitionLayout> {
    let zone = time_zone_or_utc(request.options.get("timeZone").unwrap_or(request.conf.time_zone()));
    let mut directories = BTreeMap::new();
    for (directory, values) in raw {
        let cast = |(field, (_, text)): (&StructField, &(String, Option<String>))| {
            cast_partition_value(&field.name, text.as_deref(), &field.data_type, &zone)
        };
        directories.insert(directory, schema.fields.iter().zip(&values).map(cast).collect::<Result<_>>()?);
    }
    Ok(PartitionLayout { schema, directories })
}

/// Where partition columns begin: `basePath`, else the roots themselves.
fn base_paths(request: &ScanRequest, listing: &Listing) -> Result<Vec<Location>> {
    if let Some(text) = request.options.get("basePath") {
        let base = Location::parse(text)?;
        if let Some(root) = listing.roots.iter().find(|root| root.location.relative_to(&base).is_none()) {
            let message =
                format!("basePath {base} must be an ancestor of every path, and {} is not below it", root.location);
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3173", [("message", message)]));
        }
        return Ok(vec![base]);
    }
    let base = |root: &firesteel_storage::FileStatus| {
        if root.is_directory { Some(root.location.clone()) } else { root.location.parent() }
    };
    Ok(listing.roots.iter().filter_map(base).collect())
}

/// Walks up from a directory to a base path. Parts below the first `column=value` that are not one are passed over;
/// above it, they end the walk: there the table begins.
fn parse_directory(directory: &Location, bases: &[Location]) -> Option<(Location, RawValues)> {
    let mut values: RawValues = vec![];
    let mut current = directory.clone();
    while !bases.contains(&current) {
        match parse_part(current.name()) {
            Some(value) => values.push(value),
            None if values.is_empty() => {}
            None => break,
        }
        current = current.parent()?;
    }
    values.reverse();
    if values.is_empty() { None } else { Some((current, values)) }
}

fn parse_part(part: &str) -> Option<(String, Option<String>)> {
    let (column, value) = part.split_once('=')?;
    if column.is_empty() || value.is_empty() {
        return None;
    }
    let value = (value != HIVE_DEFAULT_PARTITION).then(|| unescape_path_name(value));
    Some((unescape_path_name(column), value))
}

fn partition_schema(request: &ScanRequest, raw: &BTreeMap<Location, RawValues>) -> Result<StructType> {
    let Some(first) = raw.values().next() else {
        return Ok(declared_without_files(request));
    };
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let same = |values: &RawValues| values.len() == names.len() && values.iter().zip(&names).all(|((a, _), b)| a == b);
    if !raw.values().all(same) {
        return Err(conflicting_names(raw));
    }
    let infers = request.conf.flag("spark.sql.sources.partitionColumnTypeInference.enabled", true)?;
    let field = |(index, name): (usize, &&str)| {
        let declared = request.user_schema.as_ref().and_then(|schema| find_field(schema, name, &request.conf));
        declared.cloned().unwrap_or_else(|| {
            let texts = raw.values().filter_map(|values| values.get(index)?.1.as_deref());
            StructField::new(*name, common_type(texts, infers), true)
        })
    };
    Ok(StructType::new(names.iter().enumerate().map(field).collect()))
}

/// A catalog table keeps its partition columns while it has no files.
fn declared_without_files(request: &ScanRequest) -> StructType {
    let (Some(columns), Some(schema)) = (&request.partition_columns, &request.user_schema) else {
        return StructType::default();
    };
    let found = columns.iter().filter_map(|column| find_field(schema, column, &request.conf).cloned());
    StructType { fields: found.collect() }
}

fn common_type<'a>(texts: impl Iterator<Item = &'a str>, infers: bool) -> DataType {
    if !infers {
        return DataType::STRING;
    }
    match texts.map(infer_type).fold(DataType::Null, |wide, next| widen(&wide, &next)) {
        DataType::Null => DataType::STRING,
        known => known,
    }
}

/// A field by name, by the session's rule for case.
pub(crate) fn find_field<'a>(schema: &'a StructType, name: &str, conf: &crate::Conf) -> Option<&'a StructField> {
    let exact = conf.case_sensitive();
    schema.fields.iter().find(|f| f.name == name || (!exact && f.name.to_lowercase() == name.to_lowercase()))
}

fn conflicting_names(raw: &BTreeMap<Location, RawValues>) -> SparkError {
    let mut lists: Vec<String> = vec![];
    let mut suspicious: Vec<String> = vec![];
    for (directory, values) in raw {
        let names: Vec<_> = values.iter().map(|(name, _)| name.as_str()).collect();
        let list = names.join(", ");
        if !lists.contains(&list) {
            lists.push(list);
            suspicious.push(format!("\n\t{directory}"));
        }
    }
    let numbered = lists.iter().enumerate().map(|(i, list)| format!("\n\tPartition column name list #{i}: {list}"));
    SparkError::new(
        "CONFLICTING_PARTITION_COLUMN_NAMES",
        [("distinctPartColLists", numbered.collect::<String>() + "\n"), ("suspiciousPaths", suspicious.concat())],
    )
}
