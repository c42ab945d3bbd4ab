//! The metastore's calls that are made, and the exceptions that each may answer with.
use std::fmt;

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiveFault {
    AlreadyExists,
    InvalidObject,
    InvalidOperation,
    Meta,
    NoSuchLock,
    NoSuchObject,
    NoSuchTxn,
    TxnAborted,
    TxnOpen,
    UnknownDb,
    /// The metastore does not have the call.
    UnknownCall,
    /// The metastore failed in it.
    Other,
}

impl fmt::Display for HiveFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyExists => "AlreadyExistsException",
            Self::InvalidObject => "InvalidObjectException",
            Self::InvalidOperation => "InvalidOperationException",
            Self::Meta => "MetaException",
            Self::NoSuchLock => "NoSuchLockException",
            Self::NoSuchObject => "NoSuchObjectException",
            Self::NoSuchTxn => "NoSuchTxnException",
            Self::TxnAborted => "TxnAbortedException",
            Self::TxnOpen => "TxnOpenException",
            Self::UnknownDb => "UnknownDBException",
            Self::UnknownCall => "unknown call",
            Self::Other => "TApplicationException",
        })
    }
}

/// A call of the metastore.
#[derive(Debug)]
pub(super) struct Call {
    pub name: &'static str,
    /// Made twice it has the effect of one.
    pub is_repeatable: bool,
    /// By the numbers of the fields that they come in, from 1
    pub faults: &'static [HiveFault],
}

macro_rules! calls {
    ($($constant:ident = $name:literal, $repeatable:literal, [$($fault:ident),*];)+) => {
        $(pub(super) static $constant: Call =
            Call { name: $name, is_repeatable: $repeatable, faults: &[$(HiveFault::$fault),*] };)+
    };
}

calls! {
    GET_ALL_DATABASES = "get_all_databases", true, [Meta];
    GET_DATABASE = "get_database", true, [NoSuchObject, Meta];
    CREATE_DATABASE = "create_database", false, [AlreadyExists, InvalidObject, Meta];
    ALTER_DATABASE = "alter_database", true, [Meta, NoSuchObject];
    DROP_DATABASE = "drop_database", false, [NoSuchObject, InvalidOperation, Meta];
    GET_ALL_TABLES = "get_all_tables", true, [Meta];
    GET_TABLES_REQ = "get_table_objects_by_name_req", true, [Meta, InvalidOperation, UnknownDb];
    GET_TABLES = "get_table_objects_by_name", true, [Meta, InvalidOperation, UnknownDb];
    GET_TABLE_REQ = "get_table_req", true, [Meta, NoSuchObject];
    GET_TABLE = "get_table", true, [Meta, NoSuchObject];
    CREATE_TABLE = "create_table", false, [AlreadyExists, InvalidObject, Meta, NoSuchObject];
    ALTER_TABLE = "alter_table_with_environment_context", false, [InvalidOperation, Meta];
    DROP_TABLE = "drop_table_with_environment_context", false, [NoSuchObject, Meta];
    LOCK = "lock", false, [NoSuchTxn, TxnAborted];
    CHECK_LOCK = "check_lock", true, [NoSuchTxn, TxnAborted, NoSuchLock];
    UNLOCK = "unlock", true, [NoSuchLock, TxnOpen];
    HEARTBEAT = "heartbeat", true, [NoSuchLock, NoSuchTxn, TxnAborted];
    SHOW_LOCKS = "show_locks", true, [];
    SET_UGI = "set_ugi", true, [Meta];
}
