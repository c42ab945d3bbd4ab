//! CREATE FUNCTION.
use super::SqlExpr;
use crate::data_type::DataType;
use crate::expression::Expr;
use crate::relation::{Relation, TableName};

#[derive(Debug, Clone, PartialEq)]
pub struct CreateFunction {
    pub name: TableName,
    pub is_temporary: bool,
    pub replace: bool,
    pub if_not_exists: bool,
    pub body: FunctionBody,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionBody {
    /// `AS 'class' USING JAR '…'`
    Class {
        class_name: String,
        resources: Vec<(String, String)>,
    },
    Sql(SqlFunctionDefinition),
}

/// `CREATE FUNCTION f(a INT DEFAULT 1) RETURNS … RETURN …`
#[derive(Debug, Clone, PartialEq)]
pub struct SqlFunctionDefinition {
    pub parameters: Vec<FunctionParameter>,
    pub returns: FunctionReturns,
    pub language: String,
    pub deterministic: Option<bool>,
    pub data_access: Option<String>,
    pub comment: Option<String>,
    /// Expression or query after RETURN, as written.
    pub body_text: String,
    pub body: FunctionReturnBody,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FunctionParameter {
    pub name: String,
    pub data_type: DataType,
    /// The type as written.
    pub type_text: String,
    pub default: Option<SqlExpr>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionReturns {
    /// Not said: what the body has.
    Inferred,
    Type(DataType),
    Table(Vec<FunctionParameter>),
    /// RETURNS TABLE without columns
    InferredTable,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionReturnBody {
    Expression(Expr),
    Query(Relation),
}
