//! Storage levels and their names.
use firesteel_engine::StorageLevel;
use spark_connect_proto as proto;

/// `MEMORY_AND_DISK` and the like.
pub(crate) fn name(level: &proto::StorageLevel) -> String {
    let medium = match (level.use_memory, level.use_disk, level.use_off_heap) {
        (_, _, true) => "OFF_HEAP",
        (true, true, false) => "MEMORY_AND_DISK",
        (true, false, false) => "MEMORY_ONLY",
        (false, true, false) => "DISK_ONLY",
        (false, false, false) => return "NONE".into(),
    };
    let serialized = if level.deserialized || !level.use_memory || level.use_off_heap { "" } else { "_SER" };
    let copies = if level.replication > 1 { format!("_{}", level.replication) } else { String::new() };
    format!("{medium}{serialized}{copies}")
}

pub(crate) fn from_proto(level: &proto::StorageLevel) -> StorageLevel {
    StorageLevel {
        use_disk: level.use_disk,
        use_memory: level.use_memory,
        use_off_heap: level.use_off_heap,
        deserialized: level.deserialized,
        replication: level.replication,
    }
}

pub(crate) fn to_proto(level: StorageLevel) -> proto::StorageLevel {
    proto::StorageLevel {
        use_disk: level.use_disk,
        use_memory: level.use_memory,
        use_off_heap: level.use_off_heap,
        deserialized: level.deserialized,
        replication: level.replication,
    }
}
