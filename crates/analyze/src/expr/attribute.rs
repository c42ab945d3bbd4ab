//! Names: columns, struct fields, lambda parameters, lateral aliases, outer columns, session variables.
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::Column;
use datafusion::logical_expr::Expr as DfExpr;
use firesteel_functions::{TypedExpr, types};
use firesteel_plan::identifier::{qualified_name, quoted_name};
use firesteel_plan::{Expr, Result, SparkError};

use super::{Precedence, Scope};
use crate::analyzer::Analyzer;
use crate::scope::Attribute;

/// Hive's name for `grouping_id()`.
const GROUPING_ID: &str = "grouping__id";

/// How many suggestions an error makes.
const SUGGESTIONS_MAX: usize = 5;

impl Analyzer<'_> {
    pub(super) fn attribute(
        &self,
        name: &[String],
        plan_id: Option<i64>,
        is_metadata_column: bool,
        scope: &Scope,
    ) -> Result<TypedExpr> {
        if let Some(plan_id) = plan_id {
            return self.attribute_of_plan(name, plan_id, is_metadata_column, scope);
        }
        match self.lookup(name, scope)? {
            Some(found) => Ok(found),
            None => Err(self.unresolved_column(name, scope)),
        }
    }

    /// Spark's order: lambda parameters, columns, lateral aliases, columns below, outer columns, variables.
    pub(crate) fn lookup(&self, name: &[String], scope: &Scope) -> Result<Option<TypedExpr>> {
        if let Some(found) = self.lambda_variable(name, scope)? {
            return Ok(Some(found));
        }
        if (scope.in_aggregate.get() || scope.precedence == Precedence::Below)
            && let Some(found) = self.lookup_below(name, scope)?
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.column(name, &scope.output, scope.precedence != Precedence::UniqueInput)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.column(name, &scope.hidden, false)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.lateral_alias(name, scope)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.lookup_below(name, scope)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.outer_column(name)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.keyword_function(name)? {
            return Ok(Some(found));
        }
        if let [one] = name
            && one.eq_ignore_ascii_case(GROUPING_ID)
        {
            let marker = crate::relation::aggregate::grouping_marker("grouping_id", vec![]);
            return Ok(Some(TypedExpr::new(marker, firesteel_plan::DataType::Long, false, GROUPING_ID)));
        }
        self.session_variable(name)
    }

    /// A variable by the longest leading part of the name; what is left are fields.
    fn session_variable(&self, name: &[String]) -> Result<Option<TypedExpr>> {
        for parts in (1..=name.len()).rev() {
            let (variable, fields) = name.split_at(parts);
            if let Some(found) = self.context.variable(variable)? {
                return self.field_path(found, fields).map(Some);
            }
        }
        Ok(None)
    }

    fn lookup_below(&self, name: &[String], scope: &Scope) -> Result<Option<TypedExpr>> {
        let Some(below) = &scope.below else { return Ok(None) };
        let report = scope.precedence == Precedence::Input;
        let found = match self.column(name, &below.output, report)? {
            Some(found) => Some(found),
            None => self.column(name, &below.hidden, false)?,
        };
        if let Some(typed) = &found {
            let is_ungrouped =
                |e: &DfExpr| matches!(e, DfExpr::Column(c) if scope.ungrouped.borrow().contains(&c.name));
            if !scope.in_aggregate.get() && typed.any(is_ungrouped) {
                return Ok(None);
            }
            let columns = below.output.iter().chain(&below.hidden);
            let used = columns.filter(|a| typed.any(|e| matches!(e, DfExpr::Column(c) if c.name == a.id)));
            scope.used_below.borrow_mut().extend(used.cloned());
        }
        Ok(found)
    }

    /// `current_date` and its like are functions that need no parentheses.
    fn keyword_function(&self, name: &[String]) -> Result<Option<TypedExpr>> {
        const KEYWORDS: [(&str, &str); 7] = [
            ("current_date", "current_date"),
            ("current_timestamp", "current_timestamp"),
            ("localtimestamp", "localtimestamp"),
            ("current_user", "current_user"),
            ("user", "current_user"),
            ("session_user", "current_user"),
            ("current_time", "current_time"),
        ];
        let [one] = name else { return Ok(None) };
        match KEYWORDS.iter().find(|(keyword, _)| keyword.eq_ignore_ascii_case(one)) {
            Some((_, function)) => self.builtin(function, vec![]).map(Some),
            None => Ok(None),
        }
    }

    /// A column of `attributes`, with struct fields below it. Ambiguity is an error.
    fn column(&self, name: &[String], attributes: &[Attribute], report: bool) -> Result<Option<TypedExpr>> {
        let candidates = self.candidates(name, attributes);
        match candidates.as_slice() {
            [] => Ok(None),
            [(attribute, parts)] => self.as_written(attribute, parts).map(Some),
            many if many.iter().all(|(a, _)| a.id == many[0].0.id) => self.as_written(many[0].0, many[0].1).map(Some),
            _ if !report => Ok(None),
            many => Err(ambiguous(name, many)),
        }
    }

    /// The column named by the first part, shown in the case it was written in, and the fields below it.
    fn as_written(&self, attribute: &Attribute, parts: &[String]) -> Result<TypedExpr> {
        match parts {
            [] => Ok(attribute.typed()),
            [name, fields @ ..] => self.field_path(attribute.typed().with_sql(name.clone()), fields),
        }
    }

    /// Attributes that the leading parts of `name` fit, with the parts after the qualifier (the column and struct
    /// fields). The longest qualifier wins, as in Catalyst: `a.b.c` is tried as table column before column field.
    fn candidates<'n, 'a>(
        &self,
        name: &'n [String],
        attributes: &'a [Attribute],
    ) -> Vec<(&'a Attribute, &'n [String])> {
        let longest = attributes.iter().map(|a| a.qualifier.len()).max().unwrap_or(0);
        for qualifier_parts in (0..=longest.min(name.len().saturating_sub(1))).rev() {
            let (qualifier, rest) = name.split_at(qualifier_parts);
            let found: Vec<_> = attributes
                .iter()
                .filter(|a| self.same_name(&a.name, &rest[0]) && self.qualified_by(a, qualifier))
                .map(|a| (a, rest))
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
        vec![]
    }

    /// Whether `qualifier` is a suffix of the attribute's qualifier.
    pub(crate) fn qualified_by(&self, attribute: &Attribute, qualifier: &[String]) -> bool {
        let own = &attribute.qualifier;
        qualifier.len() <= own.len()
            && own[own.len() - qualifier.len()..].iter().zip(qualifier).all(|(a, b)| self.same_name(a, b))
    }

    fn field_path(&self, base: TypedExpr, fields: &[String]) -> Result<TypedExpr> {
        fields.iter().try_fold(base, |value, field| {
            firesteel_functions::structs::extract_value(value, TypedExpr::string(field.clone()), &self.eval)
        })
    }

    fn lateral_alias(&self, name: &[String], scope: &Scope) -> Result<Option<TypedExpr>> {
        let aliases = scope.lateral.borrow();
        let found: Vec<_> = aliases.iter().filter(|(alias, _)| self.same_name(alias, &name[0])).collect();
        match found.as_slice() {
            [] => Ok(None),
            [(alias, typed)] => {
                let shown = format!("lateralAliasReference({alias})");
                scope.lateral_used.replace(Some(alias.clone()));
                self.field_path(typed.clone().with_sql(shown), &name[1..]).map(Some)
            }
            many => Err(SparkError::new(
                "AMBIGUOUS_LATERAL_COLUMN_ALIAS",
                [("name", quoted_name(name)), ("n", many.len().to_string())],
            )),
        }
    }

    fn outer_column(&self, name: &[String]) -> Result<Option<TypedExpr>> {
        // A SQL function's parameters are in sight anywhere in its body.
        let scopes = self.outer.borrow().clone();
        for scope in scopes.iter().rev() {
            if let Some(found) = self.lambda_variable(name, scope)? {
                return Ok(Some(as_outer(found, scope)));
            }
        }
        // Of columns, only those of the query right around are, as in Spark.
        if let Some(scope) = scopes.last() {
            // A name that fits several of them fits none.
            let found = match self.column(name, &scope.output, false)? {
                Some(found) => Some(found),
                None => match self.column(name, &scope.hidden, false)? {
                    Some(found) => Some(found),
                    None => self.lookup_below(name, scope)?,
                },
            };
            if let Some(typed) = found {
                return Ok(Some(as_outer(typed, scope)));
            }
        }
        Ok(None)
    }

    /// `df["c"]`: the column of that DataFrame, if it is still in sight.
    fn attribute_of_plan(
        &self,
        name: &[String],
        plan_id: i64,
        is_metadata_column: bool,
        scope: &Scope,
    ) -> Result<TypedExpr> {
        let mut found: Vec<TypedExpr> = vec![];
        let mut known = false;
        for outputs in [Some(&scope.plan_outputs), scope.below.as_ref().map(|b| &b.plan_outputs)].into_iter().flatten()
        {
            for output in outputs.get(&plan_id).into_iter().flatten() {
                known = true;
                if let Some(typed) = self.column(name, output, true)?
                    && self.in_sight(&typed, scope)
                    && !found.iter().any(|f| f.expr == typed.expr)
                {
                    found.push(typed);
                }
            }
        }
        match found.len() {
            1 => return Ok(found.remove(0)),
            0 => {}
            _ => {
                return Err(SparkError::new("AMBIGUOUS_COLUMN_REFERENCE", [("name", quoted_name(name))]));
            }
        }
        // A DataFrame outside a subquery, or one whose columns were rebuilt on the way: by name.
        let around = self.outer.borrow().last().cloned();
        if let Some(outer) = &around {
            for output in outer.plan_outputs.get(&plan_id).into_iter().flatten() {
                if let Some(typed) = self.column(name, output, true)?
                    && self.in_sight(&typed, outer)
                {
                    return Ok(as_outer(typed, outer));
                }
            }
        }
        if let Some(typed) = self.column(name, &scope.hidden, false)? {
            return Ok(typed);
        }
        if let (true, Some(typed)) = (known || is_metadata_column, self.lookup(name, scope)?) {
            return Ok(typed);
        }
        let name = format!("\"{}\"", qualified_name(name));
        Err(SparkError::new("CANNOT_RESOLVE_DATAFRAME_COLUMN", [("name", name)]))
    }

    /// Whether the columns that `typed` reads are carried by the current operator's input.
    fn in_sight(&self, typed: &TypedExpr, scope: &Scope) -> bool {
        let visible = |scope: &Scope, id: &str| scope.output.iter().chain(&scope.hidden).any(|a| a.id == id);
        let mut ids = vec![];
        typed
            .any(|e| {
                if let DfExpr::Column(column) = e {
                    return !visible(scope, &column.name)
                        && !scope.below.as_ref().is_some_and(|below| visible(below, &column.name));
                }
                false
            })
            .then(|| ids.push(()));
        if let (true, Some(below)) = (ids.is_empty(), &scope.below) {
            let columns = below.output.iter().chain(&below.hidden);
            let used = columns
                .filter(|a| !visible(scope, &a.id) && typed.any(|e| matches!(e, DfExpr::Column(c) if c.name == a.id)));
            scope.used_below.borrow_mut().extend(used.cloned());
        }
        ids.is_empty()
    }

    pub(crate) fn unresolved_column(&self, name: &[String], scope: &Scope) -> SparkError {
        let mut suggestions: Vec<&Attribute> = scope.output.iter().collect();
        if suggestions.is_empty()
            && let Some(below) = &scope.below
        {
            suggestions = below.output.iter().collect();
        }
        if suggestions.is_empty() && scope.routine.is_some() && !scope.lambdas.borrow().is_empty() {
            // Those of lambda functions, further in, are not proposed.
            let parameters = scope.lambdas.borrow().iter().take(1).flatten().map(|(n, _)| quoted_name(&[n])).collect();
            return unresolved_among(name, parameters);
        }
        if suggestions.is_empty() {
            return SparkError::new("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", [("objectName", quoted_name(name))]);
        }
        let qualified = name.len() > 1 || has_many_qualifiers(&scope.output);
        let mut list: Vec<String> = suggestions
            .iter()
            .map(|a| {
                let mut parts = if qualified { a.qualifier.clone() } else { vec![] };
                parts.push(a.name.clone());
                quoted_name(&parts)
            })
            .collect();
        list.sort();
        unresolved_among(name, list)
    }

    /// `child[extraction]`, `child.field`.
    pub(super) fn extract_value(&self, child: &Expr, extraction: &Expr, scope: &Scope) -> Result<TypedExpr> {
        let child = self.expression(child, scope)?;
        let extraction = self.expression(extraction, scope)?;
        firesteel_functions::structs::extract_value(child, extraction, &self.eval)
    }

    pub(super) fn update_fields(
        &self,
        child: &Expr,
        field: &str,
        value: Option<&Expr>,
        scope: &Scope,
    ) -> Result<TypedExpr> {
        let child = self.expression(child, scope)?;
        let path = firesteel_plan::parse_multipart_identifier(field)?;
        let value = value.map(|v| self.expression(v, scope)).transpose()?;
        firesteel_functions::structs::update_fields(child, &path, value, &self.eval)
    }
}

fn has_many_qualifiers(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| a.qualifier != attributes[0].qualifier)
}

/// The expression over the row around a subquery: its columns become outer references.
pub(super) fn as_outer(typed: TypedExpr, scope: &Scope) -> TypedExpr {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let rewritten = typed.expr.clone().transform(|node| {
        Ok(match &node {
            DfExpr::Column(column) => match scope.all_columns().find(|a| a.id == column.name) {
                Some(attribute) => Transformed::yes(outer_reference(column.clone(), &attribute.data_type)),
                None => Transformed::no(node),
            },
            _ => Transformed::no(node),
        })
    });
    let column = super::plain_column(&typed.expr).and_then(|id| scope.all_columns().find(|a| a.id == id));
    let name = column.map_or(typed.sql.clone(), |a| {
        let parts: Vec<&String> = a.qualifier.iter().chain([&a.name]).collect();
        qualified_name(&parts)
    });
    let sql = format!("outer({name})");
    match rewritten {
        Ok(done) => TypedExpr { expr: done.data, sql, ..typed },
        Err(_) => typed,
    }
}

fn outer_reference(column: Column, data_type: &firesteel_plan::DataType) -> DfExpr {
    let field = Field::new(&column.name, types::to_arrow(data_type), true);
    DfExpr::OuterReferenceColumn(Arc::new(field), column)
}

fn ambiguous(name: &[String], candidates: &[(&Attribute, &[String])]) -> SparkError {
    let list: Vec<_> = candidates
        .iter()
        .map(|(a, _)| {
            let mut parts = a.qualifier.clone();
            parts.push(a.name.clone());
            quoted_name(&parts)
        })
        .collect();
    SparkError::new(
        "AMBIGUOUS_REFERENCE",
        [("name", quoted_name(name)), ("referenceNames", format!("[{}]", list.join(", ")))],
    )
    .with_cause(qualified_name(name))
}

/// The nearest of the quoted names `known` are proposed; equally near ones in the order given.
pub(crate) fn unresolved_among(name: &[String], mut known: Vec<String>) -> SparkError {
    // Spark measures the quoted suggestion against the bare name.
    let wanted = name.join(".");
    known.sort_by_key(|suggestion| edit_distance(suggestion, &wanted));
    known.truncate(SUGGESTIONS_MAX);
    SparkError::new(
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
        [("objectName", quoted_name(name)), ("proposal", known.join(", "))],
    )
}

/// Levenshtein distance, for suggestions.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut previous = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = previous + usize::from(ca != *cb);
            previous = row[j + 1];
            row[j + 1] = substitute.min(previous + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
