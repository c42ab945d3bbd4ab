//! Who runs next: users take turns, each within a limit of its own.
use std::collections::{HashMap, VecDeque};

/// What waits, by user.
pub struct FairQueue<T> {
    running: usize,
    users: HashMap<String, UserQueue<T>>,
    /// Users with something that waits, the next one first.
    turns: VecDeque<String>,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub running_max: usize,
    pub running_per_user_max: usize,
    pub queued_per_user_max: usize,
}

struct UserQueue<T> {
    running: usize,
    waiting: VecDeque<T>,
}

impl<T> Default for UserQueue<T> {
    fn default() -> Self {
        Self { running: 0, waiting: VecDeque::new() }
    }
}

impl<T> FairQueue<T> {
    pub fn new(limits: Limits) -> Self {
        Self { running: 0, users: HashMap::new(), turns: VecDeque::new(), limits }
    }

    /// Whether the user may add one more: something that runs at once does not count.
    pub fn has_room(&self, user: &str) -> bool {
        let Some(queue) = self.users.get(user) else { return true };
        let runs_at_once = queue.running < self.limits.running_per_user_max && self.running < self.limits.running_max;
        queue.waiting.len() < self.limits.queued_per_user_max || (runs_at_once && queue.waiting.is_empty())
    }

    pub fn push(&mut self, user: &str, item: T) {
        let queue = self.users.entry(user.to_string()).or_default();
        queue.waiting.push_back(item);
        if !self.turns.iter().any(|name| name == user) {
            self.turns.push_back(user.to_string());
        }
    }

    /// The next one to run, which then counts as running.
    pub fn pop(&mut self) -> Option<(String, T)> {
        if self.running >= self.limits.running_max {
            return None;
        }
        for _ in 0..self.turns.len() {
            let user = self.turns.pop_front()?;
            let Some(queue) = self.users.get_mut(&user) else { continue };
            if queue.running >= self.limits.running_per_user_max {
                self.turns.push_back(user);
                continue;
            }
            let Some(item) = queue.waiting.pop_front() else { continue };
            queue.running += 1;
            self.running += 1;
            if !queue.waiting.is_empty() {
                self.turns.push_back(user.clone());
            }
            return Some((user, item));
        }
        None
    }

    /// Takes out what the user no longer wants: it leaves room for another at once.
    pub fn remove(&mut self, user: &str, is_unwanted: impl Fn(&T) -> bool) {
        let Some(queue) = self.users.get_mut(user) else { return };
        queue.waiting.retain(|item| !is_unwanted(item));
        if queue.waiting.is_empty() {
            self.turns.retain(|name| name != user);
            if queue.running == 0 {
                self.users.remove(user);
            }
        }
    }

    /// One of the user's has ended.
    pub fn ended(&mut self, user: &str) {
        self.running = self.running.saturating_sub(1);
        if let Some(queue) = self.users.get_mut(user) {
            queue.running = queue.running.saturating_sub(1);
            if queue.running == 0 && queue.waiting.is_empty() {
                self.users.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(running_max: usize, per_user: usize) -> FairQueue<u32> {
        FairQueue::new(Limits { running_max, running_per_user_max: per_user, queued_per_user_max: 3 })
    }

    #[test]
    fn users_take_turns() {
        let mut queue = queue(1, 1);
        for (user, item) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5)] {
            queue.push(user, item);
        }
        let mut order = vec![];
        while let Some((user, item)) = queue.pop() {
            assert!(queue.pop().is_none());
            order.push(item);
            queue.ended(&user);
        }
        assert_eq!(order, [1, 4, 2, 5, 3]);
    }

    #[test]
    fn limits_hold() {
        let mut queue = queue(4, 2);
        (0..3).for_each(|item| queue.push("a", item));
        assert!(!queue.has_room("a") && queue.has_room("b"));
        assert!(queue.pop().is_some() && queue.pop().is_some() && queue.pop().is_none());
        queue.push("b", 9);
        assert_eq!(queue.pop().map(|(user, _)| user).as_deref(), Some("b"));
    }

    #[test]
    fn what_is_removed_leaves_room() {
        let mut queue = queue(1, 1);
        (0..4).for_each(|item| queue.push("a", item));
        assert_eq!(queue.pop(), Some(("a".into(), 0)));
        assert!(!queue.has_room("a"));
        queue.remove("a", |item| *item == 2);
        queue.remove("b", |_| true);
        assert!(queue.has_room("a"));
        queue.ended("a");
        assert_eq!(queue.pop(), Some(("a".into(), 1)));
        queue.remove("a", |_| true);
        queue.ended("a");
        assert!(queue.pop().is_none() && queue.users.is_empty() && queue.turns.is_empty());
    }
}
