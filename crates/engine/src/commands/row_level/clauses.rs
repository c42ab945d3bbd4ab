//! WHEN clauses: which rows each applies to, and what it assigns.
use firesteel_plan::command::{MergeAction, MergeActionKind};
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::{Expr, ExprKind, Result, SparkError, StructType};

use super::act::Change;
use super::touched::IN_SOURCE;
use super::{Dialect, FILE, Target};
use crate::commands::Statement;
use crate::commands::insert::{DEFAULT_KEY, default_of};

/// The WHEN clauses.
#[derive(Debug, Clone, Default)]
pub struct Clauses {
    pub matched: Vec<MergeAction>,
    pub not_matched: Vec<MergeAction>,
    pub not_matched_by_source: Vec<MergeAction>,
}

/// What becomes of the rows of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Update,
    Delete,
    Insert,
}

/// A clause with the number that stands for it in the rows: above zero where the row is written, below where it goes.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub code: i32,
    pub fate: Fate,
    pub guard: Expr,
    pub assignments: Vec<(usize, Expr)>,
}

/// The clauses with their numbers, guards and assignments. `anti`: the rows are those of the source that match nothing.
pub(super) fn coded(st: &Statement, target: &Target, change: &Change, anti: bool) -> Result<Vec<Clause>> {
    let present = |name: &str| Expr::call("isnotnull", vec![Expr::name(name)]);
    let absent = |name: &str| Expr::call("isnull", vec![Expr::name(name)]);
    let always = Expr::boolean(true);
    let guards = [
        if change.is_merge() { present(FILE).and(present(IN_SOURCE)) } else { always.clone() },
        if anti { always } else { absent(FILE) },
        absent(IN_SOURCE),
    ];
    let clauses = change.clauses.clone();
    let families = [clauses.matched, clauses.not_matched, clauses.not_matched_by_source];
    let mut all: Vec<Clause> = vec![];
    for (guard, family) in guards.into_iter().zip(families) {
        for action in family {
            let number = i32::try_from(all.len() + 1).unwrap_or(i32::MAX);
            let guard = match action.condition {
                Some(condition) => guard.clone().and(condition),
                None => guard.clone(),
            };
            let (fate, pairs) = match action.kind {
                MergeActionKind::Delete => (Fate::Delete, vec![]),
                MergeActionKind::UpdateAll => (Fate::Update, all_columns(target, change)?),
                MergeActionKind::InsertAll => (Fate::Insert, all_columns(target, change)?),
                MergeActionKind::Update(pairs) => (Fate::Update, pairs),
                MergeActionKind::Insert(pairs) => (Fate::Insert, pairs),
            };
            let code = if fate == Fate::Delete { -number } else { number };
            let mut assignments = assignments(st, target, &change.schema, pairs)?;
            if fate == Fate::Insert {
                with_defaults(st, &change.schema, &mut assignments)?;
            }
            all.push(Clause { code, fate, guard, assignments });
        }
    }
    Ok(all)
}

/// `SET *`, `INSERT *`: every column of the table, from the source.
fn all_columns(target: &Target, change: &Change) -> Result<Vec<(Expr, Expr)>> {
    let mut pairs = vec![];
    for field in change.schema.fields.iter() {
        let found = change.source_columns.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name));
        match (found, target.dialect) {
            (Some((_, value)), _) => pairs.push((Expr::name(&field.name), value.clone())),
            // Delta leaves alone what the source does not have.
            (None, Dialect::Delta) if field.nullable => {}
            (None, dialect) => {
                let names = change.source_columns.iter().map(|(name, _)| name.as_str());
                return Err(dialect.not_in_source(&field.name, names.collect()));
            }
        }
    }
    Ok(pairs)
}

impl Dialect {
    fn not_in_source(self, column: &str, source: Vec<&str>) -> SparkError {
        match self {
            Self::Delta => SparkError::new(
                "DELTA_MERGE_UNRESOLVED_EXPRESSION",
                [("sqlExpr", column.to_string()), ("clause", "the clause".into()), ("cols", source.join(", "))],
            ),
            Self::Spark => {
                let proposal: Vec<_> = source.into_iter().map(quote_identifier).collect();
                let parameters = [("objectName", quote_identifier(column)), ("proposal", proposal.join(", "))];
                SparkError::new("UNRESOLVED_COLUMN.WITH_SUGGESTION", parameters)
            }
        }
    }

    fn no_column(self) -> SparkError {
        match self {
            Self::Delta => SparkError::of("DELTA_MERGE_UNEXPECTED_ASSIGNMENT_KEY"),
            Self::Spark => SparkError::parse("a column to assign to"),
        }
    }

    fn set_twice(self, target: &Target, name: &[String]) -> SparkError {
        match self {
            Self::Delta => SparkError::new("DELTA_CONFLICT_SET_COLUMN", [("columnList", quoted_name(name))]),
            Self::Spark => {
                let errors = format!("- {} is assigned to more than once", quoted_name(name));
                let parameters = [
                    ("sqlExpr", format!("\"{}\"", quoted_name(name))),
                    ("tableName", target.name.clone()),
                    ("errors", errors),
                ];
                SparkError::new("DATATYPE_MISMATCH.INVALID_ROW_LEVEL_OPERATION_ASSIGNMENTS", parameters)
            }
        }
    }
}

/// Adds the columns with a default that an insert leaves out.
fn with_defaults(st: &Statement, schema: &StructType, values: &mut Vec<(usize, Expr)>) -> Result<()> {
    for (index, field) in schema.fields.iter().enumerate() {
        if field.metadata.contains_key(DEFAULT_KEY) && values.iter().all(|(assigned, _)| *assigned != index) {
            values.push((index, default_of(st, field)?));
        }
    }
    Ok(())
}

/// The value of each assigned column. A field of a struct is put into the column's old value.
fn assignments(
    st: &Statement,
    target: &Target,
    schema: &StructType,
    pairs: Vec<(Expr, Expr)>,
) -> Result<Vec<(usize, Expr)>> {
    let mut values: Vec<(usize, Expr)> = vec![];
    for (key, value) in pairs {
        let name = name_of(&key).ok_or_else(|| target.dialect.no_column())?;
        let (index, fields) = locate(target, schema, &name)?;
        let field = &schema.fields[index];
        let value = match &*value.kind {
            ExprKind::Default => default_of(st, field)?,
            _ => value,
        };
        let earlier = values.iter().position(|(known, _)| *known == index);
        let value = match (fields.as_slice(), earlier) {
            ([], None) => value,
            ([], Some(_)) => return Err(target.dialect.set_twice(target, &name)),
            (fields, _) => {
                let old = match earlier {
                    Some(at) => values[at].1.clone(),
                    None => target.column(&field.name),
                };
                let updated = ExprKind::UpdateFields { child: old, field: fields.join("."), value: Some(value) };
                Expr::from(updated)
            }
        };
        match earlier {
            Some(at) => values[at].1 = value,
            None => values.push((index, value)),
        }
    }
    Ok(values)
}

/// The table's column that a name means, and the fields below it.
fn locate(target: &Target, schema: &StructType, name: &[String]) -> Result<(usize, Vec<String>)> {
    let position = |part: &String| schema.fields.iter().position(|f| f.name.eq_ignore_ascii_case(part));
    let full = &target.qualifier;
    let qualifiers: Vec<Vec<String>> = match &target.alias {
        Some(alias) => vec![vec![alias.clone()]],
        None => (0..full.len()).map(|from| full[from..].to_vec()).collect(),
    };
    for qualifier in qualifiers.iter().filter(|q| q.len() < name.len()) {
        let is_it = qualifier.iter().zip(name).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if let (true, Some(index)) = (is_it, position(&name[qualifier.len()])) {
            return Ok((index, name[qualifier.len() + 1..].to_vec()));
        }
    }
    if let Some(index) = name.first().and_then(position) {
        return Ok((index, name[1..].to_vec()));
    }
    let proposal: Vec<_> = schema.fields.iter().map(|f| quote_identifier(&f.name)).collect();
    Err(SparkError::new(
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
        [("objectName", quoted_name(name)), ("proposal", proposal.join(", "))],
    ))
}

/// The name that is assigned to.
pub(super) fn name_of(key: &Expr) -> Option<Vec<String>> {
    match &*key.kind {
        ExprKind::Attribute { name, .. } => Some(name.clone()),
        ExprKind::SqlText(text) => firesteel_plan::parse_multipart_identifier(text).ok(),
        _ => None,
    }
}

impl Clauses {
    /// The last parts of the names that clauses assign to, and whether one takes all columns of the source.
    pub fn assigned_names(&self) -> (Vec<String>, bool) {
        let (mut named, mut takes_all) = (vec![], false);
        for clause in self.matched.iter().chain(&self.not_matched) {
            match &clause.kind {
                MergeActionKind::UpdateAll | MergeActionKind::InsertAll => takes_all = true,
                MergeActionKind::Update(pairs) | MergeActionKind::Insert(pairs) => {
                    named.extend(pairs.iter().filter_map(|(key, _)| name_of(key)?.pop()));
                }
                MergeActionKind::Delete => {}
            }
        }
        (named, takes_all)
    }
}
