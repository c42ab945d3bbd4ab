//! Relations: the one place that names each of them, and the operators of one input.
use std::collections::HashMap;

use firesteel_plan::relation::{Cte, SampleMethod, Unpivot, UnpivotValue};
use firesteel_plan::{Expr, FunctionCall, Literal, Relation, RelationKind, Result, SparkError};
use proto::relation::RelType;
use spark_connect_proto as proto;

use super::{Decoder, invalid, invalid_enum, missing, not_set, options, origin};

const MESSAGE: &str = "spark.connect.Relation";

impl<'a> Decoder<'a> {
    pub fn relation(&mut self, relation: &'a proto::Relation) -> Result<Relation> {
        let common = relation.common.as_ref();
        let place = origin(common.and_then(|common| common.origin.as_ref()));
        let plan_id = common.and_then(|common| common.plan_id);
        let decoded = self
            .deeper(|decoder| {
                let rel_type = relation.rel_type.as_ref().ok_or_else(|| not_set(MESSAGE, "rel_type"))?;
                decoder.relation_type(rel_type)
            })
            .map_err(|error| error.with_origin(place.as_ref()))?;
        // `WithRelations` answers its root, which has an id of its own.
        let plan_id = plan_id.or(decoded.plan_id);
        Ok(decoded.with_plan_id(plan_id).with_origin(place))
    }

    pub(super) fn input(&mut self, input: &'a Option<Box<proto::Relation>>, parent: &str) -> Result<Box<Relation>> {
        match input {
            Some(input) => Ok(Box::new(self.relation(input)?)),
            None => Err(missing(&format!("spark.connect.{parent}"), "input")),
        }
    }

    fn relation_type(&mut self, rel_type: &'a RelType) -> Result<Relation> {
        let kind = match rel_type {
            RelType::Read(read) => self.read(read)?,
            RelType::Range(range) => RelationKind::Range {
                start: range.start.unwrap_or(0),
                end: range.end,
                step: range.step,
                num_partitions: range.num_partitions,
            },
            RelType::Sql(sql) => self.sql(sql)?,
            RelType::LocalRelation(local) => self.local_relation(local)?,
            RelType::CachedLocalRelation(cached) => self.cached_local_relation(cached)?,
            RelType::ChunkedCachedLocalRelation(chunked) => self.chunked_local_relation(chunked)?,
            RelType::CachedRemoteRelation(cached) => {
                RelationKind::CachedRemote { relation_id: cached.relation_id.clone() }
            }
            RelType::UnresolvedTableValuedFunction(function) => RelationKind::TableFunction {
                call: FunctionCall::new(vec![function.function_name.clone()], self.expressions(&function.arguments)?),
            },
            RelType::RelationChanges(_) => return Err(SparkError::unsupported("reading the changes of a table")),
            RelType::WithRelations(with) => return self.with_relations(with),
            RelType::Catalog(catalog) => RelationKind::Catalog(self.catalog(catalog)?),

            RelType::Project(project) => self.project(project)?,
            RelType::Filter(filter) => RelationKind::Filter {
                input: self.input(&filter.input, "Filter")?,
                condition: self.required(filter.condition.as_ref(), "spark.connect.Filter")?,
            },
            RelType::Aggregate(aggregate) => self.aggregate(aggregate)?,
            RelType::Sort(sort) => RelationKind::Sort {
                input: self.input(&sort.input, "Sort")?,
                order: self.sort_orders(&sort.order)?,
                is_global: sort.is_global.unwrap_or(true),
            },
            RelType::Limit(limit) => {
                RelationKind::Limit { input: self.input(&limit.input, "Limit")?, limit: Expr::int(limit.limit) }
            }
            RelType::Offset(offset) => {
                RelationKind::Offset { input: self.input(&offset.input, "Offset")?, offset: Expr::int(offset.offset) }
            }
            RelType::Tail(tail) => {
                RelationKind::Tail { input: self.input(&tail.input, "Tail")?, limit: Expr::int(tail.limit) }
            }
            RelType::Deduplicate(deduplicate) => self.deduplicate(deduplicate)?,
            RelType::SubqueryAlias(alias) => RelationKind::SubqueryAlias {
                input: self.input(&alias.input, "SubqueryAlias")?,
                alias: alias.alias.clone(),
                qualifier: alias.qualifier.clone(),
                columns: vec![],
            },
            RelType::Repartition(repartition) => RelationKind::Repartition {
                input: self.input(&repartition.input, "Repartition")?,
                num_partitions: repartition.num_partitions,
                shuffle: repartition.shuffle.unwrap_or(false),
            },
            RelType::RepartitionByExpression(repartition) => RelationKind::RepartitionByExpression {
                input: self.input(&repartition.input, "RepartitionByExpression")?,
                expressions: self.expressions(&repartition.partition_exprs)?,
                num_partitions: repartition.num_partitions,
            },
            RelType::ToDf(to_df) => {
                RelationKind::ToDf { input: self.input(&to_df.input, "ToDF")?, names: to_df.column_names.clone() }
            }
            RelType::WithColumnsRenamed(renamed) => self.with_columns_renamed(renamed)?,
            RelType::WithColumns(with) => self.with_columns(with)?,
            RelType::Drop(drop) => RelationKind::Drop {
                input: self.input(&drop.input, "Drop")?,
                columns: self.expressions(&drop.columns)?,
                names: drop.column_names.clone(),
            },
            RelType::ToSchema(to_schema) => RelationKind::ToSchema {
                input: self.input(&to_schema.input, "ToSchema")?,
                schema: match &to_schema.schema {
                    Some(schema) => self.data_type(schema)?,
                    None => return Err(missing("spark.connect.ToSchema", "schema")),
                },
            },
            RelType::Hint(hint) => RelationKind::Hint {
                input: self.input(&hint.input, "Hint")?,
                name: hint.name.clone(),
                parameters: self.expressions(&hint.parameters)?,
            },
            RelType::Sample(sample) => RelationKind::Sample {
                input: self.input(&sample.input, "Sample")?,
                method: SampleMethod::Fraction {
                    lower: sample.lower_bound,
                    upper: sample.upper_bound,
                    with_replacement: sample.with_replacement.unwrap_or(false),
                },
                seed: sample.seed,
            },
            RelType::Unpivot(unpivot) => self.unpivot(unpivot)?,
            RelType::Transpose(transpose) => RelationKind::Transpose {
                input: self.input(&transpose.input, "Transpose")?,
                index: self.expressions(&transpose.index_columns)?,
            },
            RelType::CollectMetrics(metrics) => RelationKind::CollectMetrics {
                input: self.input(&metrics.input, "CollectMetrics")?,
                name: metrics.name.clone(),
                metrics: self.expressions(&metrics.metrics)?,
            },
            RelType::Parse(parse) => self.parse(parse)?,
            RelType::WithWatermark(watermark) => RelationKind::WithWatermark {
                input: self.input(&watermark.input, "WithWatermark")?,
                column: watermark.event_time.clone(),
                delay: watermark.delay_threshold.clone(),
            },
            RelType::ShowString(show) => RelationKind::ShowString {
                input: self.input(&show.input, "ShowString")?,
                num_rows: show.num_rows,
                truncate: show.truncate,
                vertical: show.vertical,
            },
            RelType::HtmlString(html) => RelationKind::HtmlString {
                input: self.input(&html.input, "HtmlString")?,
                num_rows: html.num_rows,
                truncate: html.truncate,
            },

            RelType::Join(join) => self.join(join)?,
            RelType::LateralJoin(join) => self.lateral_join(join)?,
            RelType::AsOfJoin(join) => self.as_of_join(join)?,
            RelType::NearestByJoin(join) => self.nearest_by_join(join)?,
            RelType::SetOp(operation) => self.set_operation(operation)?,
            RelType::Zip(zip) => {
                RelationKind::Zip { left: self.input(&zip.left, "Zip")?, right: self.input(&zip.right, "Zip")? }
            }

            RelType::FillNa(_)
            | RelType::DropNa(_)
            | RelType::Replace(_)
            | RelType::Summary(_)
            | RelType::Crosstab(_)
            | RelType::Describe(_)
            | RelType::Cov(_)
            | RelType::Corr(_)
            | RelType::ApproxQuantile(_)
            | RelType::FreqItems(_)
            | RelType::SampleBy(_) => self.statistic(rel_type)?,

            RelType::MapPartitions(_)
            | RelType::GroupMap(_)
            | RelType::CoGroupMap(_)
            | RelType::ApplyInPandasWithState(_)
            | RelType::CommonInlineUserDefinedTableFunction(_)
            | RelType::CommonInlineUserDefinedDataSource(_) => self.user_defined_relation(rel_type)?,

            RelType::MlRelation(_) => return Err(SparkError::unsupported("machine learning (spark.ml)")),
            RelType::Extension(any) => self.delta_relation(any)?,
            RelType::Unknown(_) => {
                return Err(SparkError::new(
                    "CONNECT_INVALID_PLAN.INVALID_ONE_OF_FIELD_NOT_SUPPORTED",
                    [("fullName", MESSAGE), ("name", "unknown"), ("number", "999")],
                ));
            }
        };
        Ok(Relation::new(kind))
    }

    fn project(&mut self, project: &'a proto::Project) -> Result<RelationKind> {
        let input = match &project.input {
            Some(input) => self.relation(input)?,
            None => Relation::new(RelationKind::OneRow),
        };
        Ok(RelationKind::Project { input: Box::new(input), expressions: self.expressions(&project.expressions)? })
    }

    fn deduplicate(&mut self, deduplicate: &'a proto::Deduplicate) -> Result<RelationKind> {
        let all = deduplicate.all_columns_as_keys.unwrap_or(false);
        match (all, deduplicate.column_names.is_empty()) {
            (true, false) => return Err(invalid("DEDUPLICATE_ALL_COLUMNS_AND_SUBSET")),
            (false, true) => return Err(invalid("DEDUPLICATE_REQUIRES_COLUMNS_OR_ALL")),
            _ => {}
        }
        Ok(RelationKind::Deduplicate {
            input: self.input(&deduplicate.input, "Deduplicate")?,
            columns: deduplicate.column_names.clone(),
            within_watermark: deduplicate.within_watermark.unwrap_or(false),
        })
    }

    #[allow(deprecated)]
    fn with_columns_renamed(&mut self, renamed: &'a proto::WithColumnsRenamed) -> Result<RelationKind> {
        let mut renames: Vec<_> =
            renamed.renames.iter().map(|rename| (rename.col_name.clone(), rename.new_col_name.clone())).collect();
        if renames.is_empty() {
            // Clients of 3.5; a map has no order, names give one that is the same every time.
            renames = renamed.rename_columns_map.iter().map(|(from, to)| (from.clone(), to.clone())).collect();
            renames.sort();
        }
        Ok(RelationKind::WithColumnsRenamed { input: self.input(&renamed.input, "WithColumnsRenamed")?, renames })
    }

    fn with_columns(&mut self, with: &'a proto::WithColumns) -> Result<RelationKind> {
        let input = self.input(&with.input, "WithColumns")?;
        let columns = with.aliases.iter().map(|alias| {
            if alias.name.len() != 1 {
                return Err(SparkError::new(
                    "CONNECT_INVALID_PLAN.WITH_COLUMNS_REQUIRE_SINGLE_NAME_PART",
                    [("got", alias.name.join("."))],
                ));
            }
            Ok(Expr::from(self.alias(alias)?))
        });
        Ok(RelationKind::WithColumns { columns: columns.collect::<Result<_>>()?, input })
    }

    fn unpivot(&mut self, unpivot: &'a proto::Unpivot) -> Result<RelationKind> {
        let values = match &unpivot.values {
            None => None,
            Some(values) => Some(
                self.expressions(&values.values)?
                    .into_iter()
                    .map(|column| UnpivotValue { columns: vec![column], alias: None })
                    .collect(),
            ),
        };
        Ok(RelationKind::Unpivot(Box::new(Unpivot {
            input: *self.input(&unpivot.input, "Unpivot")?,
            ids: Some(self.expressions(&unpivot.ids)?),
            values,
            variable_column: unpivot.variable_column_name.clone(),
            value_columns: vec![unpivot.value_column_name.clone()],
            include_nulls: true,
            alias: None,
        })))
    }

    fn parse(&mut self, parse: &'a proto::Parse) -> Result<RelationKind> {
        use proto::parse::ParseFormat;
        let format = match parse.format() {
            ParseFormat::Csv => "csv",
            ParseFormat::Json => "json",
            ParseFormat::Xml => "xml",
            ParseFormat::Unspecified => return Err(invalid_enum("spark.connect.Parse.ParseFormat", parse.format)),
        };
        Ok(RelationKind::Parse {
            input: self.input(&parse.input, "Parse")?,
            format: format.into(),
            schema: self.optional_type(parse.schema.as_ref())?,
            options: options(&parse.options),
        })
    }

    /// SQL text gets its references as CTEs, by their aliases; other roots find them by plan id.
    fn with_relations(&mut self, with: &'a proto::WithRelations) -> Result<Relation> {
        let Some(root) = with.root.as_deref() else { return Err(missing("spark.connect.WithRelations", "root")) };
        if matches!(root.rel_type, Some(RelType::Sql(_))) {
            let ctes = with.references.iter().map(|reference| self.named_reference(reference));
            let ctes = ctes.collect::<Result<Vec<_>>>()?;
            let input = Box::new(self.relation(root)?);
            return Ok(Relation::new(RelationKind::With { input, ctes, recursive: false }));
        }
        let scope: HashMap<i64, &'a proto::Relation> = (with.references.iter())
            .filter_map(|reference| Some((reference.common.as_ref()?.plan_id?, reference)))
            .collect();
        self.references.push(scope);
        let result = self.relation(root);
        self.references.pop();
        result
    }

    fn named_reference(&mut self, reference: &'a proto::Relation) -> Result<Cte> {
        let Some(RelType::SubqueryAlias(alias)) = &reference.rel_type else {
            return Err(invalid("INVALID_WITH_RELATION_REFERENCE"));
        };
        Ok(Cte {
            name: alias.alias.clone(),
            columns: vec![],
            query: *self.input(&alias.input, "SubqueryAlias")?,
            max_recursion: None,
        })
    }

    fn user_defined_relation(&mut self, rel_type: &'a RelType) -> Result<RelationKind> {
        let (kind, inputs) = match rel_type {
            RelType::MapPartitions(map) => ("map partitions", vec![*self.input(&map.input, "MapPartitions")?]),
            RelType::GroupMap(map) => ("apply to groups", vec![*self.input(&map.input, "GroupMap")?]),
            RelType::CoGroupMap(map) => (
                "apply to cogroups",
                vec![*self.input(&map.input, "CoGroupMap")?, *self.input(&map.other, "CoGroupMap")?],
            ),
            RelType::ApplyInPandasWithState(apply) => {
                ("applyInPandasWithState", vec![*self.input(&apply.input, "ApplyInPandasWithState")?])
            }
            RelType::CommonInlineUserDefinedTableFunction(_) => ("user-defined table function", vec![]),
            _ => ("user-defined data source", vec![]),
        };
        Ok(RelationKind::UserDefined { inputs, kind: kind.into() })
    }

    pub(super) fn literal_list(&mut self, literals: &[proto::expression::Literal]) -> Result<Vec<Literal>> {
        literals.iter().map(|literal| self.literal(literal)).collect()
    }
}
