//! Places, so many for each: connections of a key, watches of a caller. Given back when dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places are taken, and by whom.
pub(crate) struct Places<K>(Mutex<BTreeMap<K, usize>>);

/// A place that somebody has.
pub(crate) struct Place<K: Ord + Clone> {
    of: K,
    places: Arc<Places<K>>,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone> Places<K> {
    /// One more place for `of`, where it has less than `max`.
    pub(crate) fn take(self: &Arc<Self>, of: K, max: usize) -> Option<Place<K>> {
        let mut taken = self.taken();
        let count = taken.entry(of.clone()).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place { of, places: self.clone() })
    }

    fn give_back(&self, of: &K) {
        let mut taken = self.taken();
        if let Some(count) = taken.get_mut(of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(of);
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> Place<K> {
    /// Whose it is.
    pub(crate) fn of(&self) -> &K {
        &self.of
    }

    /// The place becomes one of `of`, which may have one more than it could take.
    pub(crate) fn pass_to(&mut self, of: K) {
        *self.places.taken().entry(of.clone()).or_insert(0) += 1;
        self.places.give_back(&std::mem::replace(&mut self.of, of));
    }
}

impl<K: Ord + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.give_back(&self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back_and_nobody_takes_those_of_others() {
        let places = Arc::new(Places::default());
        let taken: Vec<_> = std::iter::repeat_with(|| places.take("strangers", 3)).take(4).collect();
        assert!(taken[3].is_none() && taken[..3].iter().all(Option::is_some));
        let mut taken: Vec<_> = taken.into_iter().flatten().collect();
        taken[0].pass_to("bank");
        taken.extend(places.take("strangers", 3));
        assert_eq!(taken.len(), 4, "who became known has left its place to another");
        assert!(places.take("strangers", 3).is_none() && places.take("bank", 1).is_none());
        drop(taken);
        assert!(places.taken().is_empty());
    }
}
