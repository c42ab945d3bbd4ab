//! The source of a MERGE, and the files of the target that it touches.
use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use firesteel_plan::command::{MergeAction, MergeActionKind, MergeIntoTable};
use firesteel_plan::relation::{Grouping, GroupingElement, Join, JoinType};
use firesteel_plan::{Expr, Relation, RelationKind, Result, SparkError, StructType};

use super::{Clauses, Dialect, FILE, Target, with_column};
use crate::commands::Statement;

pub(super) const IN_SOURCE: &str = "__in_source";
const ROW: &str = "__row";

/// What a MERGE statement says.
pub struct Merge {
    pub source_schema: StructType,
    /// Names of the source's columns, and how they are reached
    pub source_columns: Vec<(String, Expr)>,
    pub condition: Expr,
    pub clauses: Clauses,
    /// With [`IN_SOURCE`]
    source: Relation,
}

impl Merge {
    pub async fn of(st: &Statement, merge: MergeIntoTable) -> Result<Self> {
        let source_schema = st.analyze(&merge.source).await?.schema;
        let name = source_alias(&merge.source);
        let column = |column: &String| {
            let parts = name.iter().cloned().chain([column.clone()]).collect();
            (column.clone(), Expr::parts(parts))
        };
        let source_columns = source_schema.fields.iter().map(|field| column(&field.name)).collect();
        let clauses = Clauses {
            matched: merge.matched,
            not_matched: merge.not_matched,
            not_matched_by_source: merge.not_matched_by_source,
        };
        let source = with_column(merge.source, Expr::boolean(true).alias(IN_SOURCE));
        Ok(Self { source_schema, source_columns, condition: merge.condition, clauses, source })
    }

    /// Whether rows of the target may change; otherwise rows are only added to it.
    pub fn changes_target(&self) -> bool {
        !self.clauses.matched.is_empty() || !self.clauses.not_matched_by_source.is_empty()
    }

    /// The rows of the target that may change, beside those of the source.
    pub fn joined(&self, target: Relation) -> Relation {
        join(target, self.source.clone(), JoinType::FullOuter, self.narrowed())
    }

    /// The rows of the source that match none of the target.
    pub fn unmatched(&self, target: Relation) -> Relation {
        join(self.source.clone(), target, JoinType::LeftAnti, self.condition.clone())
    }

    /// A source row that matches but to which no clause applies is as good as none where nothing is inserted: then it is
    /// kept out of the join, so that no row of the target comes twice.
    fn narrowed(&self) -> Expr {
        if !self.clauses.not_matched.is_empty() || !self.clauses.not_matched_by_source.is_empty() {
            return self.condition.clone();
        }
        match any_condition(&self.clauses.matched) {
            Some(any) => self.condition.clone().and(any),
            None => self.condition.clone(),
        }
    }

    /// The files with rows that a clause may change, of `files` whose rows are `rows`. A row of the target that several
    /// source rows match is an error, unless it is deleted whatever they say.
    pub async fn touched(&self, st: &Statement, target: &Target, rows: Relation, files: usize) -> Result<Vec<usize>> {
        let by_source = !self.clauses.not_matched_by_source.is_empty();
        if self.clauses.matched.is_empty() {
            return Ok(if by_source { (0..files).collect() } else { vec![] });
        }
        let (_, batches) = st.collect(&self.matches_by_file(rows)).await?;
        let deletes_anyway =
            matches!(self.clauses.matched.as_slice(), [MergeAction { condition: None, kind: MergeActionKind::Delete }]);
        let mut touched = BTreeSet::new();
        for batch in batches {
            let indexes = batch.column(0).as_primitive::<Int32Type>();
            let (applied, matched) =
                (batch.column(1).as_primitive::<Int64Type>(), batch.column(2).as_primitive::<Int64Type>());
            for at in 0..batch.num_rows() {
                // A row that comes twice would be written twice.
                let twice = matched.value(at) > 1 && (applied.is_valid(at) && applied.value(at) >= 1);
                if twice && !deletes_anyway {
                    return Err(target.dialect.several_matches());
                }
                touched.insert(usize::try_from(indexes.value(at)).unwrap_or_default());
            }
        }
        Ok(if by_source { (0..files).collect() } else { touched.into_iter().collect() })
    }

    /// Of each file: how many clauses apply to a row of it, and how many source rows match one, at most.
    fn matches_by_file(&self, rows: Relation) -> Relation {
        let row = Expr::call("monotonically_increasing_id", vec![]).alias(ROW);
        let matches = join(with_column(rows, row), self.source.clone(), JoinType::Inner, self.narrowed());
        let applies = match any_condition(&self.clauses.matched) {
            Some(any) => Expr::call("when", vec![any, Expr::int(1), Expr::int(0)]),
            None => Expr::int(1),
        };
        let group = |names: &[&str], input: Relation, aggregates: Vec<Expr>| {
            let keys = names.iter().map(|name| GroupingElement::Expression(Expr::name(*name))).collect();
            let all = names.iter().map(|name| Expr::name(*name)).chain(aggregates).collect();
            Relation::new(RelationKind::Aggregate {
                input: Box::new(input),
                grouping: Grouping::By(keys),
                aggregates: all,
                pivot: None,
            })
        };
        let sum = Expr::call("sum", vec![Expr::name("applies")]).alias("applied");
        let count = Expr::call("count", vec![Expr::int(1)]).alias("matches");
        let matches = matches.project(vec![Expr::name(FILE), Expr::name(ROW), applies.alias("applies")]);
        let per_row = group(&[FILE, ROW], matches, vec![sum, count]);
        let largest = |name: &str| Expr::call("max", vec![Expr::name(name)]).alias(name);
        group(&[FILE], per_row, vec![largest("applied"), largest("matches")])
    }
}

impl Dialect {
    fn several_matches(self) -> SparkError {
        match self {
            Self::Delta => {
                let parameters = [("usageReference", "")];
                SparkError::new("DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE", parameters)
            }
            Self::Spark => SparkError::of("MERGE_CARDINALITY_VIOLATION"),
        }
    }
}

/// How columns of the source are qualified.
fn source_alias(source: &Relation) -> Vec<String> {
    match &*source.kind {
        RelationKind::SubqueryAlias { alias, qualifier, .. } => {
            qualifier.iter().cloned().chain([alias.clone()]).collect()
        }
        RelationKind::NamedTable { name: firesteel_plan::TableName::Parts(parts), .. } => parts.clone(),
        _ => vec![],
    }
}

pub fn join(left: Relation, right: Relation, join_type: JoinType, condition: Expr) -> Relation {
    Relation::new(RelationKind::Join(Box::new(Join {
        left,
        right,
        join_type,
        condition: Some(condition),
        using: vec![],
        natural: false,
        lateral: false,
    })))
}

/// `c1 OR c2 …`; `None` where a clause has no condition.
fn any_condition(clauses: &[MergeAction]) -> Option<Expr> {
    let conditions: Option<Vec<Expr>> = clauses.iter().map(|clause| clause.condition.clone()).collect();
    conditions?.into_iter().reduce(|a, b| Expr::call("or", vec![a, b]))
}
