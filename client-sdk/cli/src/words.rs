//! The words of a recovery kit between a person and the program: shown once where nothing keeps them, read without
//! showing them again. They never stand in arguments, in logs, or in JSON.

use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal, Read, Write, stderr, stdin, stdout},
};

use client_sdk::{Kit, Patient, RecoveryWords};
use zeroize::Zeroizing;

use crate::{failure::Failure, output::note};

/// Reads the words of a kit: typed in one line without being shown, or all of standard input.
pub(crate) async fn read() -> Result<Zeroizing<String>, Failure> {
    apart(|| {
        if stdin().is_terminal() {
            return rpassword::prompt_password("The 24 words, in order, in one line (not shown): ")
                .map(Zeroizing::new);
        }
        // More than any 24 words, so that nothing is moved and left behind while it grows.
        let mut text = Zeroizing::new(String::with_capacity(LIMIT));
        let limit = u64::try_from(LIMIT).unwrap_or(u64::MAX);
        stdin().lock().take(limit).read_to_string(&mut text)?;
        Ok(text)
    })
    .await
}

/// Reads one line of a secret, which is not shown.
pub(crate) async fn line(prompt: &'static str) -> Result<Zeroizing<String>, Failure> {
    apart(move || read_line(prompt)).await
}

/// Reads one line that is no secret to who sits there, and is shown as it is typed.
pub(crate) async fn shown_line(prompt: &'static str) -> Result<Zeroizing<String>, Failure> {
    apart(move || {
        note_inline(prompt)?;
        let mut line = Zeroizing::new(String::with_capacity(LIMIT));
        match stdin().lock().read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    })
    .await
}

/// Shows the words until Enter is pressed, on the terminal's second screen, which leaves nothing in its history.
pub(crate) async fn show(words: &RecoveryWords) -> Result<(), Failure> {
    let _screen = Screen::open(&page(words)).map_err(|source| Failure::output(&source))?;
    apart(|| stdin().lock().read_line(&mut String::new()))
        .await
        .map(drop)
}

/// Asks for three of the words, which shows that they were written down.
pub(crate) async fn ask_for_three(patient: &Patient, kit: &Kit) -> Result<(), Failure> {
    for number in kit.three_places(patient)? {
        let mut tries = 0;
        while !kit.words().is(number, &answer(number).await?) {
            tries += 1;
            if tries == TRIES {
                return Err(Failure::usage(format!(
                    "word {number} was not that: nothing was changed, and the words that were shown open nothing; start anew"
                )));
            }
            note(&format!(
                "That is not word {number}: look at what you have written down."
            ));
        }
    }
    Ok(())
}

async fn answer(number: usize) -> Result<Zeroizing<String>, Failure> {
    apart(move || read_line(&format!("Word {number}: "))).await
}

fn read_line(prompt: &str) -> io::Result<Zeroizing<String>> {
    if stdin().is_terminal() {
        return rpassword::prompt_password(prompt).map(Zeroizing::new);
    }
    note_inline(prompt)?;
    let mut line = Zeroizing::new(String::with_capacity(LIMIT));
    match stdin().lock().read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}

fn note_inline(prompt: &str) -> io::Result<()> {
    let mut out = stderr();
    write!(out, "{prompt}")?;
    out.flush()
}

/// Waits for a person beside the asynchronous threads, so that a signal still ends the program.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let failed = |cause: String| {
        Failure::usage(format!(
            "standard input cannot be read ({cause}): nothing was changed, start anew"
        ))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|source| failed(source.to_string())),
        Err(ended) => Err(failed(ended.to_string())),
    }
}

fn page(words: &RecoveryWords) -> Zeroizing<String> {
    let mut page = Zeroizing::new(String::with_capacity(LIMIT));
    page.push_str("Your recovery kit. Write these words on paper, in this order:\r\n\r\n");
    for row in 0..ROWS {
        for (index, word) in words.iter().enumerate().filter(|(index, _)| index % ROWS == row) {
            let _ = write!(page, "{:>4}. {word:<10}", index + 1);
        }
        page.push_str("\r\n");
    }
    page.push_str("\r\nThey are not shown again. Then press Enter: you are asked for three of them. ");
    page
}

/// The second screen of the terminal, until it is dropped.
struct Screen;

impl Screen {
    fn open(page: &str) -> io::Result<Self> {
        let mut out = stdout();
        let screen = Self;
        out.write_all(b"\x1b[?1049h\x1b[2J\x1b[H")?;
        out.write_all(page.as_bytes())?;
        out.flush()?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = stdout();
        let _ = out.write_all(b"\x1b[2J\x1b[?1049l");
        let _ = out.flush();
    }
}

const LIMIT: usize = 4096;
const ROWS: usize = 6;
const TRIES: usize = 3;
