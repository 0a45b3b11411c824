//! Merging ordered walks: a list over some states is the merge of one index per state.

/// The items of all `walks`, each of them in ascending order, in ascending order.
pub(super) fn merged<T: Ord>(walks: Vec<impl Iterator<Item = T>>) -> impl Iterator<Item = T> {
    let mut walks: Vec<_> = walks.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let mut least: Option<(usize, &T)> = None;
        for (index, walk) in walks.iter_mut().enumerate() {
            if let Some(item) = walk.peek()
                && least.as_ref().is_none_or(|(_, best)| item < *best)
            {
                least = Some((index, item));
            }
        }
        let (index, _) = least?;
        walks.get_mut(index)?.next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_are_merged_in_ascending_order() {
        let walks = vec![vec![1, 4, 5].into_iter(), vec![].into_iter(), vec![2, 3, 9].into_iter()];
        assert_eq!(merged(walks).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 9]);
    }
}
