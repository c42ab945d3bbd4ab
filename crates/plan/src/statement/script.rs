//! SQL scripting: compound statements, conditions and handlers.
use crate::expression::Expr;
use crate::relation::Relation;

/// `BEGIN … END` of SQL scripting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CompoundBody {
    pub label: Option<String>,
    pub statements: Vec<ScriptStatement>,
    pub conditions: Vec<ConditionDeclaration>,
    pub handlers: Vec<Handler>,
}

/// `DECLARE name CONDITION [FOR SQLSTATE 'xxxxx']`
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionDeclaration {
    pub name: String,
    pub sql_state: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Handler {
    /// EXIT, else CONTINUE
    pub is_exit: bool,
    /// Condition names, SQLSTATEs (five characters in `'…'` form are prefixed `SQLSTATE `), SQLEXCEPTION, NOT FOUND
    pub conditions: Vec<String>,
    pub body: CompoundBody,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ScriptStatement {
    /// Any statement or query.
    Plan(crate::Plan),
    Compound(CompoundBody),
    If {
        branches: Vec<(Expr, CompoundBody)>,
        otherwise: Option<CompoundBody>,
    },
    /// Simple (`operand` set) or searched CASE
    Case {
        operand: Option<Expr>,
        branches: Vec<(Expr, CompoundBody)>,
        otherwise: Option<CompoundBody>,
    },
    While {
        label: Option<String>,
        condition: Expr,
        body: CompoundBody,
    },
    Repeat {
        label: Option<String>,
        until: Expr,
        body: CompoundBody,
    },
    Loop {
        label: Option<String>,
        body: CompoundBody,
    },
    For {
        label: Option<String>,
        variable: Option<String>,
        query: Relation,
        body: CompoundBody,
    },
    Leave(String),
    Iterate(String),
}
