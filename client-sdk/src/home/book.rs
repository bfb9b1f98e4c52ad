//! What a home keeps under many names, in one file that grows for each folder of them: `met.book` and others. See [`super::chain`].

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{
    Home,
    chain::At,
    guard::{Guard, More},
};
use crate::{Error, Result};

/// All books of a home that this process has opened.
#[derive(Default)]
pub(super) struct Books(Mutex<HashMap<String, Book>>);

/// One book, as far as this process has read it.
#[derive(Default)]
struct Book {
    at: At,
    values: HashMap<String, Vec<u8>>,
    entries: usize,
}

/// Which value of a name counts, and whether it must outlast a power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    First,
    Last,
}

impl Home {
    /// What is kept for `name` in `folder`.
    pub(crate) fn kept(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let folder = self.of_era(folder);
        let folder = &*folder;
        self.in_book(folder, |book, _| Ok(book.values.get(name).cloned()))
    }

    /// The names for which something is kept in `folder`.
    pub(crate) fn kept_names(&self, folder: &str) -> Result<Vec<String>> {
        self.in_book(folder, |book, _| Ok(book.values.keys().cloned().collect()))
    }

    /// Keeps the first text that is given for `name` in `folder`, and returns the one that is kept. A power cut may take it away.
    pub(crate) fn keep_first(&self, folder: &str, name: &str, text: &str) -> Result<Vec<u8>> {
        let folder = self.of_era(folder);
        let folder = &*folder;
        // What is first stays first: it is looked for in the file only by what would put another one in.
        self.in_book_as_read(folder, |book, guard| {
            loop {
                if let Some(kept) = book.values.get(name) {
                    return Ok(kept.clone());
                }
                book.put(guard, &file(folder), (name, text.as_bytes()), Keep::First)?;
            }
        })
    }

    /// Keeps the last value that is given for `name` in `folder`; when this returns, it outlasts a power cut.
    pub(crate) fn keep_last(&self, folder: &str, name: &str, value: &[u8]) -> Result<()> {
        let folder = self.of_era(folder);
        let folder = &*folder;
        self.in_book_as_read(folder, |book, guard| {
            while !book.put(guard, &file(folder), (name, value), Keep::Last)? {}
            book.shorten(guard, &file(folder))
        })
    }

    /// Keeps the highest number that is given for `name` in `folder`; a lower one is an older state.
    pub(crate) fn keep_highest(&self, folder: &str, name: &str, number: usize) -> Result<()> {
        let folder = self.of_era(folder);
        let folder = &*folder;
        self.in_book(folder, |book, guard| {
            loop {
                let kept = match book.values.get(name) {
                    None => 0,
                    Some(bytes) => {
                        let text = std::str::from_utf8(bytes).ok();
                        let kept = text.and_then(|text| text.parse().ok());
                        kept.ok_or_else(|| self.damaged(&file(folder)))?
                    }
                };
                if number < kept {
                    return Err(Error::tampered("the vault")(
                        "the server shows an older state than this device has seen",
                    ));
                }
                let value = number.to_string();
                if number == kept || book.put(guard, &file(folder), (name, value.as_bytes()), Keep::Last)? {
                    return Ok(());
                }
            }
        })
    }

    /// A book with what every process of the home has put into it until now.
    fn in_book<T>(&self, folder: &str, act: impl FnOnce(&mut Book, &Guard) -> Result<T>) -> Result<T> {
        self.in_book_as_read(folder, |book, guard| {
            match guard.read_chain(&file(folder), &mut book.at)? {
                Some(more) => book.take(more),
                None => *book = Book::default(),
            }
            act(book, guard)
        })
    }

    /// A book as far as this process has read it: for what reads the rest by itself before it writes.
    fn in_book_as_read<T>(
        &self,
        folder: &str,
        act: impl FnOnce(&mut Book, &Guard) -> Result<T>,
    ) -> Result<T> {
        let mut books = self.books.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(books.entry(folder.to_owned()).or_default(), &self.guard)
    }
}

impl Book {
    /// Puts a value in, unless other processes have put something in meanwhile: then that is read, and nothing was put in.
    fn put(&mut self, guard: &Guard, file: &str, (name, value): (&str, &[u8]), keep: Keep) -> Result<bool> {
        let entry = [name.as_bytes(), b"\0", value].concat();
        match guard.extend_chain(file, &mut self.at, &[&entry], keep == Keep::Last)? {
            Some(more) => {
                self.take(more);
                Ok(false)
            }
            None => {
                self.add(entry);
                Ok(true)
            }
        }
    }

    fn take(&mut self, more: More) {
        if more.anew {
            self.values.clear();
            self.entries = 0;
        }
        more.entries.into_iter().for_each(|entry| self.add(entry));
    }

    fn add(&mut self, mut entry: Vec<u8>) {
        let end = entry.iter().position(|byte| *byte == 0).unwrap_or(entry.len());
        let value = entry.split_off(end).into_iter().skip(1).collect();
        self.values
            .insert(String::from_utf8_lossy(&entry).into_owned(), value);
        self.entries += 1;
    }

    /// Writes it anew when most of it is values that others have followed.
    fn shorten(&mut self, guard: &Guard, file: &str) -> Result<()> {
        if self.entries < 2 * self.values.len() + LONG {
            return Ok(());
        }
        let entry = |(name, value): (&String, &Vec<u8>)| [name.as_bytes(), b"\0", value].concat();
        let entries: Vec<_> = self.values.iter().map(entry).collect();
        match guard.rewrite_chain(file, &mut self.at, &entries)? {
            Some(more) => self.take(more),
            None => self.entries = entries.len(),
        }
        Ok(())
    }
}

fn file(folder: &str) -> String {
    format!("{folder}.book")
}

/// Entries that are not worth the writing.
const LONG: usize = 250;
