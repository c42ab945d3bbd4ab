//! Aggregates with their groupings.
use firesteel_plan::relation::{ConnectPivot, Grouping, GroupingElement};
use firesteel_plan::{Expr, RelationKind, Result};
use spark_connect_proto as proto;

use super::{Decoder, invalid, invalid_enum};

impl<'a> Decoder<'a> {
    pub(super) fn aggregate(&mut self, aggregate: &'a proto::Aggregate) -> Result<RelationKind> {
        use proto::aggregate::GroupType;
        if aggregate.input.is_none() {
            return Err(invalid("AGGREGATE_NEEDS_PLAN_INPUT"));
        }
        let input = self.input(&aggregate.input, "Aggregate")?;
        let keys = self.expressions(&aggregate.grouping_expressions)?;
        let aggregates = self.expressions(&aggregate.aggregate_expressions)?;
        let one_each = |keys: &[Expr]| keys.iter().map(|key| vec![key.clone()]).collect();
        let elements = match aggregate.group_type() {
            GroupType::Groupby => keys.iter().cloned().map(GroupingElement::Expression).collect(),
            GroupType::Rollup => vec![GroupingElement::Rollup(one_each(&keys))],
            GroupType::Cube => vec![GroupingElement::Cube(one_each(&keys))],
            GroupType::GroupingSets => {
                vec![GroupingElement::KeyedSets { keys: keys.clone(), sets: self.grouping_sets(aggregate)? }]
            }
            GroupType::Pivot => {
                let elements = keys.into_iter().map(GroupingElement::Expression).collect();
                let pivot = Some(self.pivot(aggregate)?);
                return Ok(RelationKind::Aggregate { input, grouping: Grouping::By(elements), aggregates, pivot });
            }
            GroupType::Unspecified => {
                return Err(invalid_enum("spark.connect.Aggregate.GroupType", aggregate.group_type));
            }
        };
        // A DataFrame answers its grouping columns before the aggregates.
        let aggregates = keys.into_iter().chain(aggregates).collect();
        Ok(RelationKind::Aggregate { input, grouping: Grouping::By(elements), aggregates, pivot: None })
    }

    fn grouping_sets(&mut self, aggregate: &'a proto::Aggregate) -> Result<Vec<Vec<Expr>>> {
        aggregate.grouping_sets.iter().map(|set| self.expressions(&set.grouping_set)).collect()
    }

    fn pivot(&mut self, aggregate: &'a proto::Aggregate) -> Result<ConnectPivot> {
        let Some(pivot) = &aggregate.pivot else { return Err(invalid("AGGREGATE_WITH_PIVOT_REQUIRES_PIVOT")) };
        Ok(ConnectPivot {
            column: self.required(pivot.col.as_ref(), "spark.connect.Aggregate.Pivot")?,
            values: self.literal_list(&pivot.values)?,
        })
    }
}
