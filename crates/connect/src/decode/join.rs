//! Operators of two inputs.
use firesteel_plan::relation::{AsOfJoin, Join, NearestByJoin};
use firesteel_plan::{JoinType, RelationKind, Result, SetOpType, SparkError};
use proto::join::JoinType as Type;
use spark_connect_proto as proto;

use super::{Decoder, invalid, invalid_enum};

impl<'a> Decoder<'a> {
    pub(super) fn join(&mut self, join: &'a proto::Join) -> Result<RelationKind> {
        if join.join_condition.is_some() && !join.using_columns.is_empty() {
            return Err(invalid("USING_COLUMNS_OR_JOIN_CONDITION_SET_IN_JOIN"));
        }
        if join.join_data_type.is_some() {
            return Err(SparkError::unsupported("joinWith (a typed Dataset operation)"));
        }
        Ok(RelationKind::Join(Box::new(Join {
            left: *self.input(&join.left, "Join")?,
            right: *self.input(&join.right, "Join")?,
            join_type: join_type(join.join_type)?,
            condition: self.optional(join.join_condition.as_ref())?,
            using: join.using_columns.clone(),
            natural: false,
            lateral: false,
        })))
    }

    pub(super) fn lateral_join(&mut self, join: &'a proto::LateralJoin) -> Result<RelationKind> {
        Ok(RelationKind::Join(Box::new(Join {
            left: *self.input(&join.left, "LateralJoin")?,
            right: *self.input(&join.right, "LateralJoin")?,
            join_type: join_type(join.join_type)?,
            condition: self.optional(join.join_condition.as_ref())?,
            using: vec![],
            natural: false,
            lateral: true,
        })))
    }

    pub(super) fn as_of_join(&mut self, join: &'a proto::AsOfJoin) -> Result<RelationKind> {
        Ok(RelationKind::AsOfJoin(Box::new(AsOfJoin {
            left: *self.input(&join.left, "AsOfJoin")?,
            right: *self.input(&join.right, "AsOfJoin")?,
            left_as_of: self.required(join.left_as_of.as_ref(), "spark.connect.AsOfJoin")?,
            right_as_of: self.required(join.right_as_of.as_ref(), "spark.connect.AsOfJoin")?,
            condition: self.optional(join.join_expr.as_ref())?,
            using: join.using_columns.clone(),
            join_type: join.join_type.clone(),
            tolerance: self.optional(join.tolerance.as_ref())?,
            allow_exact_matches: join.allow_exact_matches,
            direction: join.direction.clone(),
        })))
    }

    pub(super) fn nearest_by_join(&mut self, join: &'a proto::NearestByJoin) -> Result<RelationKind> {
        Ok(RelationKind::NearestByJoin(Box::new(NearestByJoin {
            left: *self.input(&join.left, "NearestByJoin")?,
            right: *self.input(&join.right, "NearestByJoin")?,
            ranking: self.required(join.ranking_expression.as_ref(), "spark.connect.NearestByJoin")?,
            num_results: join.num_results,
            join_type: join.join_type.clone(),
            mode: join.mode.clone(),
            direction: join.direction.clone(),
        })))
    }

    pub(super) fn set_operation(&mut self, operation: &'a proto::SetOperation) -> Result<RelationKind> {
        use proto::set_operation::SetOpType as Op;
        if operation.left_input.is_none() || operation.right_input.is_none() {
            return Err(invalid("SET_OPERATION_MUST_HAVE_TWO_INPUTS"));
        }
        let by_name = operation.by_name.unwrap_or(false);
        let allow_missing_columns = operation.allow_missing_columns.unwrap_or(false);
        let op = match operation.set_op_type() {
            Op::Union => SetOpType::Union,
            Op::Intersect if by_name => return Err(invalid("INTERSECT_DOES_NOT_SUPPORT_UNION_BY_NAME")),
            Op::Intersect => SetOpType::Intersect,
            Op::Except if by_name => return Err(invalid("EXCEPT_DOES_NOT_SUPPORT_UNION_BY_NAME")),
            Op::Except => SetOpType::Except,
            Op::Unspecified => {
                return Err(invalid_enum("spark.connect.SetOperation.SetOpType", operation.set_op_type));
            }
        };
        if allow_missing_columns && !by_name {
            return Err(invalid("UNION_BY_NAME_ALLOW_MISSING_COL_REQUIRES_BY_NAME"));
        }
        Ok(RelationKind::SetOperation {
            left: self.input(&operation.left_input, "SetOperation")?,
            right: self.input(&operation.right_input, "SetOperation")?,
            op,
            all: operation.is_all.unwrap_or(false),
            by_name,
            allow_missing_columns,
        })
    }
}

fn join_type(number: i32) -> Result<JoinType> {
    Ok(match Type::try_from(number) {
        Ok(Type::Inner) => JoinType::Inner,
        Ok(Type::FullOuter) => JoinType::FullOuter,
        Ok(Type::LeftOuter) => JoinType::LeftOuter,
        Ok(Type::RightOuter) => JoinType::RightOuter,
        Ok(Type::LeftAnti) => JoinType::LeftAnti,
        Ok(Type::LeftSemi) => JoinType::LeftSemi,
        Ok(Type::Cross) => JoinType::Cross,
        Ok(Type::Unspecified) | Err(_) => return Err(invalid_enum("spark.connect.Join.JoinType", number)),
    })
}
