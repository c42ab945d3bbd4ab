//! GROUP BY: ordinals, aliases, ALL, and the grouping sets that ROLLUP and CUBE stand for.
use firesteel_functions::TypedExpr;
use firesteel_plan::relation::{Grouping, GroupingElement};
use firesteel_plan::{DataType, Expr, ExprKind, Literal, Result, SparkError};

use crate::analyzer::Analyzer;
use crate::expr::{Scope, SelectItem, quoted_sql};

impl Analyzer<'_> {
    pub(super) fn group_by_all(&self, items: &[SelectItem]) -> Result<Vec<TypedExpr>> {
        let mut groups: Vec<TypedExpr> = vec![];
        for item in items {
            if let SelectItem::Value(value) = item
                && !value.typed.has_aggregate()
                && !groups.iter().any(|g| g.expr == value.typed.expr)
            {
                groups.push(value.typed.clone());
            }
        }
        Ok(groups)
    }

    /// GROUP BY 1 cannot count the items that a star stands for.
    pub(super) fn refuse_ordinals_of_star(&self, grouping: &Grouping, aggregates: &[Expr]) -> Result<()> {
        let Grouping::By(elements) = grouping else { return Ok(()) };
        let is_ordinal = |element: &GroupingElement| matches!(element, GroupingElement::Expression(e) if matches!(e.kind.as_ref(), ExprKind::Literal(Literal::Integer(_))));
        let has_star = aggregates.iter().any(|e| matches!(e.kind.as_ref(), ExprKind::Star { .. }));
        if has_star && self.eval.flag("spark.sql.groupByOrdinal", true) && elements.iter().any(is_ordinal) {
            return Err(SparkError::of("STAR_GROUP_BY_POS"));
        }
        Ok(())
    }

    /// All distinct grouping expressions, and the grouping sets over them where there are any.
    #[expect(clippy::type_complexity, reason = "a pair that is taken apart at once")]
    pub(crate) fn grouping_elements(
        &self,
        elements: &[GroupingElement],
        items: &[SelectItem],
        scope: &Scope,
    ) -> Result<(Vec<TypedExpr>, Option<Vec<Vec<usize>>>)> {
        let mut groups: Vec<TypedExpr> = vec![];
        // The cross product of all elements' sets.
        let mut sets: Vec<Vec<usize>> = vec![vec![]];
        let mut is_plain = true;
        for element in elements {
            let alternatives = match element {
                GroupingElement::Expression(expr) => {
                    vec![self.group_indices(std::slice::from_ref(expr), items, scope, &mut groups)?]
                }
                other => {
                    is_plain = false;
                    self.element_sets(other, items, scope, &mut groups)?
                }
            };
            sets = sets
                .iter()
                .flat_map(|set| alternatives.iter().map(move |more| set.iter().chain(more).copied().collect()))
                .collect();
        }
        if is_plain {
            return Ok((groups, None));
        }
        for set in &mut sets {
            let mut seen = std::collections::HashSet::new();
            set.retain(|index| seen.insert(*index));
        }
        Ok((groups, Some(sets)))
    }

    fn element_sets(
        &self,
        element: &GroupingElement,
        items: &[SelectItem],
        scope: &Scope,
        groups: &mut Vec<TypedExpr>,
    ) -> Result<Vec<Vec<usize>>> {
        let mut indices = |set: &Vec<Expr>| self.group_indices(set, items, scope, groups);
        Ok(match element {
            GroupingElement::Expression(expr) => vec![indices(&vec![expr.clone()])?],
            GroupingElement::Set(set) => vec![indices(set)?],
            GroupingElement::Rollup(parts) => {
                let parts = parts.iter().map(&mut indices).collect::<Result<Vec<_>>>()?;
                (0..=parts.len()).rev().map(|count| parts[..count].concat()).collect()
            }
            GroupingElement::Cube(parts) => {
                let parts = parts.iter().map(&mut indices).collect::<Result<Vec<_>>>()?;
                if parts.len() > CUBE_MAX {
                    return Err(SparkError::unsupported(format!("CUBE of more than {CUBE_MAX} elements")));
                }
                let count = parts.len();
                let chosen = |mask: usize| (0..count).filter(move |i| mask & (1 << (count - 1 - i)) != 0);
                (0..1_usize << count).rev().map(|mask| chosen(mask).flat_map(|i| parts[i].clone()).collect()).collect()
            }
            GroupingElement::KeyedSets { keys, sets } => {
                indices(keys)?;
                sets.iter().map(&mut indices).collect::<Result<Vec<_>>>()?
            }
            GroupingElement::GroupingSets(elements) => {
                let mut sets = vec![];
                for element in elements {
                    sets.extend(self.element_sets(element, items, scope, groups)?);
                }
                sets
            }
        })
    }

    /// Indices of the expressions in `groups`, which grows by new ones.
    fn group_indices(
        &self,
        expressions: &[Expr],
        items: &[SelectItem],
        scope: &Scope,
        groups: &mut Vec<TypedExpr>,
    ) -> Result<Vec<usize>> {
        let mut indices = vec![];
        for expr in expressions {
            for typed in self.group_expression(expr, items, scope)? {
                check_group(&typed)?;
                let known = groups.iter().position(|g| g.expr == typed.expr);
                indices.push(known.unwrap_or_else(|| {
                    groups.push(typed);
                    groups.len() - 1
                }));
            }
        }
        Ok(indices)
    }

    /// One GROUP BY expression: an ordinal, a column, an alias of the select list, or anything over the input.
    fn group_expression(&self, expr: &Expr, items: &[SelectItem], scope: &Scope) -> Result<Vec<TypedExpr>> {
        match expr.kind.as_ref() {
            ExprKind::Literal(Literal::Integer(position)) if self.eval.flag("spark.sql.groupByOrdinal", true) => {
                return Ok(vec![ordinal(*position, items).map_err(|e| e.with_origin(expr.origin.as_ref()))?]);
            }
            ExprKind::Star { .. } => {
                return Ok(self.expand_star(expr, scope)?.into_iter().map(|v| v.typed).collect());
            }
            ExprKind::Alias { child, .. } => return self.group_expression(child, items, scope),
            _ => {}
        }
        let by_aliases = || {
            let alias_scope = scope.clone();
            for item in items {
                if let SelectItem::Value(value) = item {
                    let name = value.attribute.name.clone();
                    alias_scope.lateral.borrow_mut().push((name, value.typed.clone()));
                }
            }
            self.expression(expr, &alias_scope).map(|typed| vec![typed])
        };
        let has_aliases = self.eval.flag("spark.sql.groupByAliases", true);
        match self.expression(expr, scope) {
            // What reads no column may be a variable, which an alias goes before.
            Ok(typed) if has_aliases && typed.expr.column_refs().is_empty() => by_aliases().or(Ok(vec![typed])),
            Ok(typed) => Ok(vec![typed]),
            Err(error) if error.is("UNRESOLVED_COLUMN") && has_aliases => by_aliases().map_err(|_| error),
            Err(error) => Err(error),
        }
    }
}

/// CUBE(n elements) makes 2^n grouping sets.
const CUBE_MAX: usize = 12;

fn check_group(typed: &TypedExpr) -> Result<()> {
    if typed.has_aggregate() {
        return Err(
            SparkError::new("GROUP_BY_AGGREGATE", [("sqlExpr", typed.sql.clone())]).with_origin(typed.origin.as_ref())
        );
    }
    // Maps are grouped by their entries.
    let has_key = match &typed.data_type {
        DataType::Map(key, value, _) => key.is_orderable() && value.is_orderable(),
        DataType::Variant => false,
        _ => true,
    };
    if !has_key {
        return Err(SparkError::new(
            "GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE",
            [("sqlExpr", quoted_sql(typed)), ("dataType", format!("\"{}\"", typed.data_type.sql()))],
        )
        .with_origin(typed.origin.as_ref()));
    }
    Ok(())
}

/// GROUP BY 2: the second item of the select list.
fn ordinal(position: i32, items: &[SelectItem]) -> Result<TypedExpr> {
    let index = usize::try_from(position).ok().and_then(|p| p.checked_sub(1)).filter(|i| *i < items.len());
    let Some(SelectItem::Value(value)) = index.and_then(|i| items.get(i)) else {
        return Err(SparkError::new(
            "GROUP_BY_POS_OUT_OF_RANGE",
            [("index", position.to_string()), ("size", items.len().to_string())],
        ));
    };
    if value.typed.has_aggregate() {
        return Err(SparkError::new(
            "GROUP_BY_POS_AGGREGATE",
            [("index", position.to_string()), ("aggExpr", value.typed.sql.clone())],
        ));
    }
    Ok(value.typed.clone())
}
