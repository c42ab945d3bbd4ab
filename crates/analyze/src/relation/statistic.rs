//! `df.na.*`, `df.stat.*`, `df.describe`, `df.summary`.
use firesteel_plan::relation::{AsOfJoin, NearestByJoin, Statistic};
use firesteel_plan::{Relation, Result, SparkError};

use crate::analyzer::Analyzer;
use crate::scope::Resolved;

impl Analyzer<'_> {
    pub(super) fn statistic(&self, input: &Relation, function: &Statistic) -> Result<Resolved> {
        let _ = self.relation(input)?;
        Err(SparkError::unsupported(format!("{function:?}")))
    }
    pub(super) fn as_of_join(&self, _: &AsOfJoin) -> Result<Resolved> {
        Err(SparkError::unsupported("as-of joins"))
    }
    pub(super) fn nearest_by_join(&self, _: &NearestByJoin) -> Result<Resolved> {
        Err(SparkError::unsupported("nearest-by joins"))
    }
    pub(super) fn zip(&self, _: &Relation, _: &Relation) -> Result<Resolved> {
        Err(SparkError::unsupported("DataFrame.zip"))
    }
}
