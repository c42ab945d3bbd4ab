//! Which statements only read.
use firesteel_plan::relation::CatalogCall;
use firesteel_plan::statement::{DeltaStatement, SetConf, SqlStatement as S};
use firesteel_plan::{Command, Plan, RelationKind};

use crate::problem::Problem;

/// Whether a statement changes nothing outside of its session.
pub fn only_reads(plan: &Plan) -> bool {
    match plan {
        Plan::Query(relation) => !matches!(
            &*relation.kind,
            RelationKind::Catalog(CatalogCall::Statement(_)) | RelationKind::ScriptTransformation(_)
        ),
        Plan::Command(Command::Sql(statement)) => match &**statement {
            S::Explain { plan, .. } => only_reads(plan),
            S::Show(_)
            | S::Describe(_)
            | S::Set(SetConf::All | SetConf::AllVerbose | SetConf::Get(_))
            | S::SetCatalog { .. }
            | S::UseNamespace { .. } => true,
            S::Delta(statement) => matches!(
                statement,
                DeltaStatement::History { .. } | DeltaStatement::Detail { .. } | DeltaStatement::IsTable { .. }
            ),
            _ => false,
        },
        Plan::Command(_) => false,
    }
}

/// A user who may not change things, or not everywhere, may not start programs: nobody checks what those do.
pub fn check_limited(plan: &Plan) -> Result<(), Problem> {
    // The text of a script can be anywhere in a plan; its debug form names every operator.
    if format!("{plan:?}").contains("ScriptTransformation") {
        return Err(Problem::forbidden("TRANSFORM starts a program: it needs a token of scope write, without paths.")
            .at("statement"));
    }
    Ok(())
}
