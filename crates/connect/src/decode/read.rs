//! Leaves that bring rows: tables, files, SQL text, and rows from the client.
use std::sync::Arc;

use firesteel_plan::{Expr, RelationKind, Result, SparkError, TableName, parse_multipart_identifier};
use spark_connect_proto as proto;

use super::{Decoder, invalid, message, not_set, options};

impl<'a> Decoder<'a> {
    pub(super) fn read(&mut self, read: &'a proto::Read) -> Result<RelationKind> {
        use proto::read::ReadType;
        match &read.read_type {
            Some(ReadType::NamedTable(table)) => Ok(RelationKind::NamedTable {
                name: TableName::Parts(parse_multipart_identifier(&table.unparsed_identifier)?),
                options: options(&table.options),
                time_travel: None,
                is_streaming: read.is_streaming,
            }),
            Some(ReadType::DataSource(source)) => Ok(RelationKind::DataSource {
                format: source.format.clone(),
                schema: source.schema.clone().filter(|schema| !schema.is_empty()),
                options: options(&source.options),
                paths: source.paths.clone(),
                predicates: source.predicates.clone(),
                is_streaming: read.is_streaming,
            }),
            None => Err(not_set("spark.connect.Read", "read_type")),
        }
    }

    #[allow(deprecated)]
    pub(super) fn sql(&mut self, sql: &'a proto::Sql) -> Result<RelationKind> {
        let mut named = vec![];
        for (name, value) in &sql.named_arguments {
            named.push((name.clone(), self.expression(value)?));
        }
        for (name, value) in &sql.args {
            named.push((name.clone(), Expr::literal(self.literal(value)?)));
        }
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let mut positional = self.expressions(&sql.pos_arguments)?;
        positional.extend(self.literal_list(&sql.pos_args)?.into_iter().map(Expr::literal));
        Ok(RelationKind::Sql { query: sql.query.clone(), named_arguments: named, positional_arguments: positional })
    }

    pub(super) fn local_relation(&mut self, local: &'a proto::LocalRelation) -> Result<RelationKind> {
        let data = local.data.as_ref().filter(|data| !data.is_empty());
        let schema = local.schema.clone().filter(|schema| !schema.is_empty());
        if data.is_none() && schema.is_none() {
            return Err(invalid("SCHEMA_REQUIRED_FOR_LOCAL_RELATION"));
        }
        Ok(RelationKind::LocalRelation {
            data: data.map(|data| Arc::from(data.as_ref())).into_iter().collect(),
            schema,
        })
    }

    /// The upload holds a whole `LocalRelation` message.
    pub(super) fn cached_local_relation(&mut self, cached: &proto::CachedLocalRelation) -> Result<RelationKind> {
        let bytes = self
            .uploads
            .cached(&cached.hash)
            .ok_or_else(|| self.not_found("CONNECT_INVALID_PLAN.NOT_FOUND_CACHED_LOCAL_RELATION", &cached.hash))?;
        let local: proto::LocalRelation = message(&bytes)?;
        let data = local.data.filter(|data| !data.is_empty());
        let schema = local.schema.filter(|schema| !schema.is_empty());
        if data.is_none() && schema.is_none() {
            return Err(invalid("SCHEMA_REQUIRED_FOR_LOCAL_RELATION"));
        }
        Ok(RelationKind::LocalRelation {
            data: data.map(|data| Arc::from(data.as_ref())).into_iter().collect(),
            schema,
        })
    }

    /// The uploads hold an Arrow stream each, and the schema's text.
    pub(super) fn chunked_local_relation(
        &mut self,
        chunked: &proto::ChunkedCachedLocalRelation,
    ) -> Result<RelationKind> {
        if chunked.data_hashes.is_empty() {
            return Err(invalid("CHUNKED_CACHED_LOCAL_RELATION_WITHOUT_DATA"));
        }
        let condition = "CONNECT_INVALID_PLAN.NOT_FOUND_CHUNKED_CACHED_LOCAL_RELATION";
        let block = |hash: &String| self.uploads.cached(hash).ok_or_else(|| self.not_found(condition, hash));
        let data = chunked.data_hashes.iter().map(block).collect::<Result<Vec<_>>>()?;
        let schema = match &chunked.schema_hash {
            None => None,
            Some(hash) => {
                let bytes = block(hash)?;
                let text = std::str::from_utf8(&bytes).map_err(|e| super::cannot_parse(e.to_string()))?;
                Some(text.to_string()).filter(|text| !text.is_empty())
            }
        };
        Ok(RelationKind::LocalRelation { data, schema })
    }

    fn not_found(&self, condition: &str, hash: &str) -> SparkError {
        SparkError::new(condition, [("hash", hash), ("sessionUUID", self.uploads.session_id())])
    }
}
