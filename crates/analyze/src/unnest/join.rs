//! Pushing the outer row through joins: the side whose rows are kept has to carry the keys of the other.
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::logical_expr::{Expr, Join};
use firesteel_plan::{Result, SparkError};

use super::expr::{all_of, choose, column, conjuncts, equal};
use super::free::{Domain, Free, Key, columns_and};
use crate::relation::plain_join;
use crate::scope::{fresh_id, project};

/// The conditions of a join, its hash keys among them.
pub fn conditions_of(join: &Join) -> Vec<Expr> {
    let null_safe = join.null_equality == NullEquality::NullEqualsNull;
    let keys = join.on.iter().map(|(l, r)| equal(l.clone(), r.clone(), null_safe));
    keys.chain(join.filter.clone()).collect()
}

impl Domain {
    pub(super) fn push_join(&self, join: &Join) -> Result<Free> {
        let left = self.without_default(self.push(&join.left)?)?;
        let right = self.without_default(self.push(&join.right)?)?;
        let mut conditions = conditions_of(join);
        if join.null_aware {
            // Beside keys, a comparison that is unknown has to be told in the condition.
            conditions = conditions.into_iter().map(|c| c.clone().or(c.is_null())).collect();
        }
        match join.join_type {
            JoinType::Inner => self.push_inner(left, right, conditions),
            JoinType::Full => self.push_full(left, right, conditions),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                self.push_keeping(left, right, conditions, join, true)
            }
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                self.push_keeping(right, left, conditions, join, false)
            }
        }
    }

    fn without_default(&self, free: Free) -> Result<Free> {
        if free.default.is_some() { self.bind(free, &[]) } else { Ok(free) }
    }

    fn push_inner(&self, left: Free, right: Free, conditions: Vec<Expr>) -> Result<Free> {
        let mut on = vec![];
        let mut correlated = vec![];
        for condition in conditions.into_iter().flat_map(conjuncts) {
            if self.reads(&condition) { correlated.push(condition) } else { on.push(condition) }
        }
        let mut keys = left.keys;
        for key in right.keys {
            match keys.iter_mut().find(|k| k.outer == key.outer) {
                Some(same) => {
                    same.null_safe &= key.null_safe;
                    on.push(equal(column(&same.inner), column(&key.inner), same.null_safe));
                }
                None => keys.push(key),
            }
        }
        let plan = plain_join(left.plan, right.plan, JoinType::Inner, all_of(on))?;
        let residual = left.residual.into_iter().chain(right.residual).collect();
        let single = left.single && right.single;
        self.filtered(Free { plan, keys, residual, default: None, single }, correlated)
    }

    /// Joins that keep rows of one side, matched or not, and joins that only test them.
    fn push_keeping(
        &self,
        kept: Free,
        other: Free,
        conditions: Vec<Expr>,
        join: &Join,
        left_is_kept: bool,
    ) -> Result<Free> {
        let (kept, on) = match self.met(&kept, &other, &conditions)? {
            Some(on) => (kept, on),
            None => {
                let used = other.keys.iter().map(|k| &k.outer).chain(&other.residual).chain(&conditions);
                let kept = self.bind(kept, &self.references(used))?;
                let on = self.met(&kept, &other, &conditions)?;
                (kept, on.ok_or_else(|| SparkError::internal("an outer column is out of reach of a join"))?)
            }
        };
        let (left, right) = if left_is_kept { (kept.plan, other.plan) } else { (other.plan, kept.plan) };
        let plan = plain_join(left, right, join.join_type, all_of(on))?;
        let multiplies = matches!(join.join_type, JoinType::Left | JoinType::Right) && !other.single;
        Ok(Free { plan, single: kept.single && !multiplies, ..kept })
    }

    /// The join's condition with the other side's keys met by the kept side's; nothing if it lacks some.
    fn met(&self, kept: &Free, other: &Free, conditions: &[Expr]) -> Result<Option<Vec<Expr>>> {
        let mut on = vec![];
        for key in &other.keys {
            let strict = |k: &Key| k.outer == key.outer && !k.null_safe;
            match self.through_keys(&kept.keys, &key.outer)? {
                Some(met) => {
                    let null_safe = key.null_safe && !kept.keys.iter().any(strict);
                    on.push(equal(met, column(&key.inner), null_safe));
                }
                None => return Ok(None),
            }
        }
        for condition in other.residual.iter().chain(conditions) {
            match self.through_keys(&kept.keys, condition)? {
                Some(met) => on.push(met),
                None => return Ok(None),
            }
        }
        Ok(Some(on))
    }

    /// Both sides get all keys; a row has those of the side it comes from.
    fn push_full(&self, left: Free, right: Free, conditions: Vec<Expr>) -> Result<Free> {
        let used = [&left, &right].into_iter().flat_map(|s| s.keys.iter().map(|k| &k.outer).chain(&s.residual));
        let references = self.references(used.chain(&conditions));
        let left = self.bind(left, &references)?;
        let right = self.bind(right, &references)?;
        let mut on = vec![];
        for condition in conditions {
            on.push(self.through_keys(&left.keys, &condition)?.unwrap_or(condition));
        }
        let mut keys = vec![];
        let mut merged = vec![];
        for key in &left.keys {
            let Some(other) = right.keys.iter().find(|k| k.outer == key.outer) else { continue };
            on.push(equal(column(&key.inner), column(&other.inner), true));
            let id = fresh_id("_k");
            let own = column(&key.inner);
            merged.push(choose(own.clone().is_not_null(), own, Some(column(&other.inner))).alias(&id));
            keys.push(Key { inner: id, ..key.clone() });
        }
        let joined = plain_join(left.plan, right.plan, JoinType::Full, all_of(on))?;
        let columns = columns_and(&joined, merged);
        Ok(Free { plan: project(joined, columns)?, keys, residual: vec![], default: None, single: false })
    }
}

/// The mark column of a mark join.
pub fn mark() -> Expr {
    Expr::Column(Column::from_name("mark"))
}
