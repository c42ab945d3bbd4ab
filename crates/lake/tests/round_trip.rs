//! Rows written by the lake come back as they were, through DataFusion.
#![allow(clippy::unwrap_used, clippy::panic)]
use std::path::PathBuf;
use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::context::SessionContext;
use firesteel_functions::types::from_arrow_fields;
use firesteel_lake::{Bucketing, ScanRequest, SourceOptions, WriteRequest, WriteSummary, scan, write};
use firesteel_plan::command::SaveMode;
use firesteel_plan::{Result, StructType};

/// A directory that is gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("firesteel-lake-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }
    fn files(&self, name: &str) -> Vec<String> {
        let mut found = vec![];
        let mut open = vec![self.0.join(name)];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { open.push(path) } else { found.push(path.to_str().unwrap().to_string()) }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn save(sql: &str, request: impl FnOnce(StructType) -> WriteRequest) -> Result<Option<WriteSummary>> {
    let context = SessionContext::new();
    let frame = context.sql(sql).await.unwrap();
    let schema = from_arrow_fields(frame.schema().as_arrow().fields()).unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    write(plan, context.task_ctx(), request(schema)).await
}

fn request(format: &str, path: String, schema: StructType) -> WriteRequest {
    WriteRequest {
        format: format.into(),
        path,
        mode: SaveMode::ErrorIfExists,
        schema,
        partition_by: vec![],
        bucketing: None,
        options: SourceOptions::default(),
        static_partitions: vec![],
        conf: firesteel_lake::Conf::default(),
        storage: firesteel_storage::Storage::default(),
    }
}

async fn load(format: &str, path: &str, options: &[(&str, &str)], query: &str) -> Result<String> {
    let request = ScanRequest {
        format: format.into(),
        paths: vec![path.into()],
        options: SourceOptions::new(options.iter().copied()),
        ..ScanRequest::default()
    };
    let scan = scan(request).await?;
    let context = SessionContext::new();
    context.register_table("t", scan.table()).unwrap();
    let batches = context.sql(query).await.unwrap().collect().await.map_err(|e| {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&e);
        while let Some(current) = source {
            if let Some(spark) = current.downcast_ref::<firesteel_plan::SparkError>() {
                return spark.clone();
            }
            source = current.source();
        }
        panic!("{e}")
    })?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

const ROWS: &str =
    "SELECT * FROM (VALUES (1, 'a', 1.5, true), (2, 'b', NULL, false), (3, NULL, 2.5, NULL)) AS v (id, name, x, f)";

#[tokio::test]
async fn parquet_keeps_rows_and_types() {
    let scratch = Scratch::new();
    let path = scratch.path("t");
    let summary = save(ROWS, |schema| request("parquet", path.clone(), schema)).await.unwrap().unwrap();
    assert_eq!((summary.rows, summary.files), (3, 1));
    let text = load("parquet", &path, &[], "SELECT id, name, x, f FROM t WHERE id >= 2 ORDER BY id").await.unwrap();
    assert_eq!(
        text,
        "+----+------+-----+-------+\n| id | name | x   | f     |\n+----+------+-----+-------+\n\
         | 2  | b    |     | false |\n| 3  |      | 2.5 |       |\n+----+------+-----+-------+"
    );
    assert!(scratch.files("t").iter().any(|f| f.ends_with("_SUCCESS")));
    let again = save(ROWS, |schema| request("parquet", path.clone(), schema)).await.unwrap_err();
    assert_eq!(again.condition(), "PATH_ALREADY_EXISTS");
}

#[tokio::test]
async fn partitions_are_written_found_and_pruned() {
    let scratch = Scratch::new();
    let path = scratch.path("p");
    let partitioned =
        |schema| WriteRequest { partition_by: vec!["name".into()], ..request("parquet", path.clone(), schema) };
    let summary = save(ROWS, partitioned).await.unwrap().unwrap();
    assert_eq!((summary.files, summary.partitions.len()), (3, 3));
    assert!(scratch.files("p").iter().any(|f| f.contains("/name=__HIVE_DEFAULT_PARTITION__/part-00000-")));
    let query = "SELECT id, name, _metadata['file_name'] LIKE 'part-%' AS m FROM t WHERE name = 'b'";
    let text = load("parquet", &path, &[], query).await.unwrap();
    assert!(text.contains("| 2  | b    | true |"), "{text}");
    let dynamic = |schema| WriteRequest {
        mode: SaveMode::Overwrite,
        options: SourceOptions::new([("partitionOverwriteMode", "dynamic")]),
        ..partitioned(schema)
    };
    save("SELECT 9 AS id, 'b' AS name, 1.5 AS x, true AS f", dynamic).await.unwrap();
    let text = load("parquet", &path, &[], "SELECT id FROM t ORDER BY id").await.unwrap();
    assert!(text.contains("| 1  |\n| 3  |\n| 9  |"), "{text}");
}

#[tokio::test]
async fn buckets_and_limits_name_their_files() {
    let scratch = Scratch::new();
    let bucketing = Bucketing { num_buckets: 2, columns: vec!["id".into()], sort_columns: vec!["id".into()] };
    let path = scratch.path("b");
    save(ROWS, |schema| WriteRequest { bucketing: Some(bucketing), ..request("parquet", path.clone(), schema) })
        .await
        .unwrap();
    assert!(scratch.files("b").iter().all(|f| f.ends_with("_SUCCESS") || f.contains("_0000")));
    let path = scratch.path("m");
    let options = SourceOptions::new([("maxRecordsPerFile", "1"), ("compression", "zstd")]);
    let summary =
        save(ROWS, |schema| WriteRequest { options, ..request("parquet", path.clone(), schema) }).await.unwrap();
    assert_eq!(summary.unwrap().files, 3);
    assert!(scratch.files("m").iter().any(|f| f.ends_with("-c002.zstd.parquet")));
}

#[tokio::test]
async fn what_cannot_be_read_says_so() {
    let scratch = Scratch::new();
    let missing = load("parquet", &scratch.path("none"), &[], "SELECT 1").await.unwrap_err();
    assert_eq!(missing.condition(), "PATH_NOT_FOUND");
    let unknown = load("nosuch", &scratch.path(""), &[], "SELECT 1").await.unwrap_err();
    assert_eq!(unknown.condition(), "DATA_SOURCE_NOT_FOUND");
    std::fs::write(scratch.path("x.parquet"), "garbage").unwrap();
    let garbage = load("parquet", &scratch.path("x.parquet"), &[], "SELECT 1").await.unwrap_err();
    assert_eq!(garbage.condition(), "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER");
    let empty = load("parquet", &scratch.path(""), &[("pathGlobFilter", "*.none")], "SELECT 1").await.unwrap_err();
    assert_eq!(empty.condition(), "UNABLE_TO_INFER_SCHEMA");
}

/// Types that every text format can hold.
const PLAIN: &str = "SELECT * FROM (VALUES (1, 'a \"b\", c', 1.5, true), (2, '', NULL, false)) AS v (id, name, x, f)";

#[tokio::test]
async fn csv_is_written_and_read_as_spark_does() {
    let scratch = Scratch::new();
    let path = scratch.path("c");
    let options = SourceOptions::new([("header", "true"), ("compression", "gzip")]);
    save(PLAIN, |schema| WriteRequest { options, ..request("csv", path.clone(), schema) }).await.unwrap();
    let options = [("header", "true"), ("inferSchema", "true")];
    let text = load("csv", &path, &options, "SELECT * FROM t ORDER BY id").await.unwrap();
    assert!(text.contains("| 1  | a \"b\", c | 1.5 | true  |\n| 2  |          |     | false |"), "{text}");
    assert_eq!(
        load("csv", &path, &options, "SELECT count(*) AS n FROM t").await.unwrap().lines().nth(3),
        Some("| 2 |")
    );
}

#[tokio::test]
async fn json_is_written_and_read_as_spark_does() {
    let scratch = Scratch::new();
    let path = scratch.path("j");
    save(PLAIN, |schema| request("json", path.clone(), schema)).await.unwrap();
    let file = scratch.files("j").into_iter().find(|f| f.ends_with(".json")).unwrap();
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        "{\"id\":1,\"name\":\"a \\\"b\\\", c\",\"x\":1.5,\"f\":true}\n{\"id\":2,\"name\":\"\",\"f\":false}\n"
    );
    let text = load("json", &path, &[], "SELECT id, x FROM t ORDER BY id").await.unwrap();
    assert!(text.contains("| 1  | 1.5 |\n| 2  |     |"), "{text}");
}

#[tokio::test]
async fn corrupt_records_are_kept_dropped_or_refused() {
    let scratch = Scratch::new();
    let path = scratch.path("x.json");
    std::fs::write(&path, "{\"a\":1}\n{\"a\":\n[{\"a\":5},{\"a\":6}]\n\n").unwrap();
    let text = load("json", &path, &[], "SELECT a, _corrupt_record FROM t").await.unwrap();
    assert!(text.contains("| 1 |                 |\n|   | {\"a\":           |\n| 5 |"), "{text}");
    let dropped = load("json", &path, &[("mode", "DROPMALFORMED")], "SELECT a FROM t").await.unwrap();
    assert!(dropped.contains("| 1 |\n| 5 |\n| 6 |"), "{dropped}");
    let failed = load("json", &path, &[("mode", "FAILFAST")], "SELECT a FROM t").await.unwrap_err();
    assert_eq!(failed.condition(), "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION");
}

#[tokio::test]
async fn text_orc_and_avro_go_round() {
    let scratch = Scratch::new();
    for (format, sql) in [("orc", ROWS), ("avro", ROWS), ("parquet", ROWS)] {
        let path = scratch.path(format);
        let sql = sql.replace("1.5", "CAST(1.5 AS double)").replace("2.5", "CAST(2.5 AS double)");
        save(&sql, |schema| request(format, path.clone(), schema)).await.unwrap();
        let text = load(format, &path, &[], "SELECT id, name, x, f FROM t ORDER BY id").await.unwrap();
        assert!(text.contains("| 1  | a    | 1.5 | true  |\n| 2  | b    |     | false |\n| 3  |"), "{format}: {text}");
    }
    let path = scratch.path("text");
    save("SELECT 'one' AS v UNION ALL SELECT 'two'", |schema| request("text", path.clone(), schema)).await.unwrap();
    let text = load("text", &path, &[], "SELECT value FROM t ORDER BY value").await.unwrap();
    assert!(text.contains("| one   |\n| two   |"), "{text}");
    let query = "SELECT length FROM t WHERE path LIKE '%part-00000%'";
    let text = load("binaryFile", &path, &[], query).await.unwrap();
    assert!(text.contains("| 4 "), "{text}");
}
