//! Circles: files each of which needs all the others, over however many ties.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ties::Ties;

type Edge = (usize, usize);

/// All circles, the largest first: the strongly connected components of more than one file.
pub(super) fn circles(ties: &Ties) -> Vec<Vec<usize>> {
    let next = neighbours(ties.keys().copied());
    let reached: BTreeMap<usize, BTreeSet<usize>> =
        next.keys().map(|file| (*file, reach(&next, *file))).collect();
    let reaches = |from: &usize, to: &usize| reached.get(from).is_some_and(|files| files.contains(to));
    let mut found: Vec<Vec<usize>> = Vec::new();
    for file in next.keys().filter(|file| reaches(file, file)) {
        if found.iter().any(|circle| circle.contains(file)) {
            continue;
        }
        let others = next
            .keys()
            .filter(|other| reaches(file, other) && reaches(other, file));
        found.push(others.copied().collect());
    }
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

/// A short list of ties without which there is no circle among these files. None of the list can be left out; it is not proven
/// that no other list is shorter.
pub(super) fn cut(ties: &Ties, circle: &[usize]) -> Vec<Edge> {
    let mut left: BTreeSet<Edge> = ties
        .keys()
        .filter(|(from, to)| circle.contains(from) && circle.contains(to))
        .copied()
        .collect();
    let mut cut = Vec::new();
    while let Some(edge) = most_used(&left) {
        left.remove(&edge);
        cut.push(edge);
    }
    let needed = |edge: &Edge| {
        let (from, to) = *edge;
        left.insert(*edge);
        let closes = reach(&neighbours(left.iter().copied()), to).contains(&from);
        if closes {
            left.remove(edge);
        }
        closes
    };
    cut.retain(needed);
    cut
}

/// The tie on most of the shortest loops, of which one through each file is looked at.
fn most_used(left: &BTreeSet<Edge>) -> Option<Edge> {
    let next = neighbours(left.iter().copied());
    let mut uses: BTreeMap<Edge, usize> = BTreeMap::new();
    for file in next.keys() {
        for edge in shortest(&next, *file) {
            *uses.entry(edge).or_default() += 1;
        }
    }
    uses.into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(edge, _)| edge)
}

/// The ties of a shortest loop through a file; none if there is none.
fn shortest(next: &BTreeMap<usize, Vec<usize>>, start: usize) -> Vec<Edge> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(file) = waiting.pop_front() {
        for to in next.get(&file).into_iter().flatten() {
            if *to == start {
                return back(&came_from, file, start);
            }
            if !came_from.contains_key(to) {
                came_from.insert(*to, file);
                waiting.push_back(*to);
            }
        }
    }
    Vec::new()
}

fn back(came_from: &BTreeMap<usize, usize>, last: usize, start: usize) -> Vec<Edge> {
    let mut edges = vec![(last, start)];
    let mut here = last;
    while let Some(before) = came_from.get(&here).filter(|_| here != start) {
        edges.push((*before, here));
        here = *before;
    }
    edges.reverse();
    edges
}

fn reach(next: &BTreeMap<usize, Vec<usize>>, start: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(file) = waiting.pop() {
        let new = next.get(&file).into_iter().flatten();
        waiting.extend(new.copied().filter(|to| seen.insert(*to)));
    }
    seen
}

fn neighbours(edges: impl Iterator<Item = Edge>) -> BTreeMap<usize, Vec<usize>> {
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ties(edges: &[Edge]) -> Ties {
        edges.iter().map(|edge| (*edge, BTreeSet::new())).collect()
    }

    #[test]
    fn circles_are_found_apart_from_what_leads_to_them() {
        let ties = ties(&[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4), (4, 5), (5, 4), (5, 6)]);
        assert_eq!(circles(&ties), [vec![1, 2, 3], vec![4, 5]]);
    }

    #[test]
    fn the_tie_that_all_loops_share_is_the_one_to_cut() {
        let ties = ties(&[(0, 1), (1, 0), (1, 2), (2, 0), (2, 3), (3, 0)]);
        assert_eq!(circles(&ties), [vec![0, 1, 2, 3]]);
        assert_eq!(cut(&ties, &[0, 1, 2, 3]), [(0, 1)]);
    }
}
