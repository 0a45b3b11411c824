//! What was made before of the same input, for pure functions whose few inputs come again and again.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Keeps a bounded number of results by their inputs; above that all are forgotten, and made anew.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    kept: Mutex<BTreeMap<K, V>>,
    most: usize,
}

impl<K: Ord, V: Clone> Memo<K, V> {
    /// One that keeps at most so many.
    pub(crate) const fn keeping(most: usize) -> Self {
        Self { kept: Mutex::new(BTreeMap::new()), most }
    }

    /// What `make` made of this input before, or makes of it now. An error is not kept.
    ///
    /// # Errors
    /// As `make`.
    pub(crate) fn of<Q, E>(&self, input: &Q, make: impl FnOnce() -> Result<V, E>) -> Result<V, E>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = kept().get(input) {
            return Ok(made.clone());
        }
        let made = make()?;
        let mut kept = kept();
        if kept.len() >= self.most {
            kept.clear();
        }
        kept.insert(input.to_owned(), made.clone());
        Ok(made)
    }
}

/// What identifies an input of several parts.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        // With lengths, so that bytes cannot move from one part to the next.
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_was_made_is_not_made_again_until_too_much_is_kept_and_an_error_always() {
        let memo: Memo<u8, u8> = Memo::keeping(2);
        let made = Cell::new(0);
        let double = |input: u8| {
            memo.of(&input, || {
                made.set(made.get() + 1);
                input.checked_mul(2).ok_or("too much")
            })
        };
        assert_eq!([double(1), double(1), double(2), double(1)], [Ok(2), Ok(2), Ok(4), Ok(2)]);
        assert_eq!(made.get(), 2);
        assert_eq!([double(200), double(200)], [Err("too much"), Err("too much")]);
        assert_eq!(made.get(), 4);
        assert_eq!([double(3), double(1)], [Ok(6), Ok(2)], "the third forgot the first two");
        assert_eq!(made.get(), 6);
    }
}
