//! A bounded set that forgets its oldest members.
use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

const TOMBSTONES_MAX: usize = 1_000;

pub(crate) struct Tombstones<T> {
    members: HashSet<T>,
    order: VecDeque<T>,
}

impl<T> Default for Tombstones<T> {
    fn default() -> Self {
        Self { members: HashSet::new(), order: VecDeque::new() }
    }
}

impl<T: Hash + Eq + Clone> Tombstones<T> {
    pub(crate) fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
    }

    pub(crate) fn insert(&mut self, member: T) {
        if !self.members.insert(member.clone()) {
            return;
        }
        self.order.push_back(member);
        if self.order.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
    }
}
