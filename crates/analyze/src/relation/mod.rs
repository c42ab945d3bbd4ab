//! Operators: one file per family.
pub mod aggregate;
mod asof;
mod cte;
pub use cte::{is_below_limit_all, max_recursion};
mod generate;
mod grouping;
mod hint;
pub(crate) mod join;
pub(crate) mod leaf;
mod parse;
mod partition;
mod pivot;
mod project;
mod reshape;
mod setop;
mod show;
mod sort;
mod statistic;
mod table;
pub(crate) mod time_window;
mod unary;
mod view;
mod window;

pub(crate) use hint::NamedHint;
pub(crate) use join::{null_aware_anti_join, plain_join};
pub(crate) use partition::{is_partition_dependent, is_random};
pub(crate) use project::filter_plan;
pub(crate) use setop::row_number;

use firesteel_plan::{Relation, RelationKind, Result, SparkError};

use crate::analyzer::Analyzer;
use crate::scope::Resolved;

impl Analyzer<'_> {
    /// Resolves an operator and everything below it.
    pub(crate) fn relation(&self, relation: &Relation) -> Result<Resolved> {
        self.deep(|| {
            let limit_all = self.limit_all.get();
            self.limit_all.set(limit_all && passes_limit_all(&relation.kind));
            let resolved = self.relation_kind(relation).map_err(|e| e.with_origin(relation.origin.as_ref()));
            self.limit_all.set(limit_all);
            let mut resolved = resolved?;
            if let Some(plan_id) = relation.plan_id {
                let visible = resolved.output.clone();
                resolved.plan_outputs.entry(plan_id).or_default().push(visible);
            }
            Ok(resolved)
        })
    }

    fn relation_kind(&self, relation: &Relation) -> Result<Resolved> {
        use RelationKind as K;
        if let Some(source) = self.context.persisted(relation) {
            return self.source(source);
        }
        match relation.kind.as_ref() {
            K::NamedTable { name, options, time_travel, is_streaming } => {
                self.named_table(name, options, time_travel.as_ref(), *is_streaming)
            }
            K::DataSource { format, schema, options, paths, predicates, is_streaming } => {
                self.data_source(format, schema, options, paths, predicates, *is_streaming)
            }
            K::OneRow => self.one_row(),
            K::Range { start, end, step, num_partitions } => self.range(*start, *end, *step, *num_partitions),
            K::LocalRelation { data, schema } => self.local_relation(data, schema.as_deref()),
            K::Values { rows } => self.values(rows),
            K::TableFunction { call } => self.table_function(call, relation),
            K::CachedRemote { relation_id } => self.source(self.context.cached_remote(relation_id)?),
            K::Sql { query, named_arguments, positional_arguments } => {
                self.sql_text(query, named_arguments, positional_arguments)
            }
            K::Catalog(call) => self.catalog_rows(call),
            K::Project { input, expressions } => self.project(input, expressions),
            K::Filter { input, condition } => self.filter(input, condition),
            K::Having { input, condition } => self.having(input, condition),
            K::Qualify { input, condition } => self.qualify(input, condition),
            K::Aggregate { input, grouping, aggregates, pivot } => match pivot {
                Some(pivot) => self.connect_pivot(input, grouping, aggregates, pivot),
                None => self.aggregate(input, grouping, aggregates),
            },
            K::Sort { input, order, is_global } => self.sort(input, order, *is_global),
            K::SortAll { input, order } => self.sort_all(input, order),
            K::Limit { input, limit } => self.limit(input, limit),
            K::LimitAll { input } => {
                self.limit_all.set(true);
                self.relation(input)
            }
            K::Offset { input, offset } => self.offset(input, offset),
            K::Tail { input, limit } => self.tail(input, limit),
            K::Distinct { input } => self.distinct(input),
            K::Deduplicate { input, columns, within_watermark } => self.deduplicate(input, columns, *within_watermark),
            K::SubqueryAlias { input, alias, qualifier, columns } => {
                let name = [qualifier.as_slice(), std::slice::from_ref(alias)].concat();
                self.hinted(&name, || self.subquery_alias(input, alias, qualifier, columns))
            }
            K::Repartition { input, num_partitions, shuffle } => self.repartition(input, *num_partitions, *shuffle),
            K::RepartitionByExpression { input, expressions, num_partitions } => {
                self.repartition_by(input, expressions, *num_partitions)
            }
            K::ToDf { input, names } => self.to_df(input, names),
            K::WithColumnsRenamed { input, renames } => self.with_columns_renamed(input, renames),
            K::WithColumns { input, columns } => self.with_columns(input, columns),
            K::Drop { input, columns, names } => self.drop_columns(input, columns, names),
            K::ToSchema { input, schema } => self.to_schema(input, schema),
            K::Hint { input, name, parameters } => self.hint(input, name, parameters),
            K::Sample { input, method, seed } => self.sample(input, method, *seed),
            K::Pivot { input, aggregates, columns, values } => self.sql_pivot(input, aggregates, columns, values),
            K::Unpivot(unpivot) => self.unpivot(unpivot),
            K::Transpose { input, index } => self.transpose(input, index),
            K::LateralView { input, generator, outer, alias, columns } => {
                self.lateral_view(input, generator, *outer, alias, columns)
            }
            K::WithWindows { input, windows } => self.with_windows(input, windows),
            K::With { input, ctes, recursive } => self.with_ctes(input, ctes, *recursive),
            K::CollectMetrics { input, name, metrics } => self.collect_metrics(input, name, metrics, relation.plan_id),
            K::Parse { input, format, schema, options } => self.parse(input, format, schema.as_ref(), options),
            K::WithWatermark { .. } => Err(SparkError::unsupported("watermarks (streaming)")),
            K::ShowString { input, num_rows, truncate, vertical } => {
                self.show_string(input, *num_rows, *truncate, *vertical)
            }
            K::HtmlString { input, num_rows, truncate } => self.html_string(input, *num_rows, *truncate),
            K::Statistic { input, function } => self.statistic(input, function),
            K::PipeAggregate { input, grouping, aggregates } => self.pipe_aggregate(input, grouping, aggregates),
            K::PipeExtend { input, expressions } => self.pipe_extend(input, expressions),
            K::PipeSet { input, assignments } => self.pipe_set(input, assignments),
            K::PipeSelect { input, expressions } => self.pipe_select(input, expressions),
            K::PipeWhere { input, condition } => self.filter(input, condition),
            K::ScriptTransformation(_) => Err(SparkError::unsupported("TRANSFORM with a script")),
            K::UserDefined { kind, .. } => Err(SparkError::unsupported(kind.clone())),
            K::Join(join) => self.join(join),
            K::AsOfJoin(join) => self.as_of_join(join),
            K::NearestByJoin(join) => self.nearest_by_join(join),
            K::SetOperation { left, right, op, all, by_name, allow_missing_columns } => {
                self.set_operation(left, right, *op, *all, *by_name, *allow_missing_columns)
            }
            K::Zip { left, right } => self.zip(left, right),
        }
    }
}

/// Whether `LIMIT ALL` above the operator is said of what it reads too.
fn passes_limit_all(kind: &RelationKind) -> bool {
    use RelationKind as K;
    match kind {
        K::SetOperation { op, all, .. } => *op == firesteel_plan::SetOpType::Union && *all,
        K::NamedTable { .. }
        | K::Project { .. }
        | K::Filter { .. }
        | K::Having { .. }
        | K::Aggregate { .. }
        | K::Join(_)
        | K::SubqueryAlias { .. }
        | K::Offset { .. }
        | K::With { .. }
        | K::WithWindows { .. } => true,
        _ => false,
    }
}
