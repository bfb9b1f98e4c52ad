//! The table of `spec/attacks.md`, read: for the test that checks it and for `cargo xtask attacks`, which runs it.

/// One attack.
pub(crate) struct Row {
    /// `ATK-n`.
    pub(crate) number: u32,
    /// Where it was published.
    pub(crate) source: String,
    /// What the adversary does.
    pub(crate) attack: String,
    /// Who: S, I, P, N, W, C.
    pub(crate) adversary: String,
    /// What it fails by.
    pub(crate) defence: String,
    /// Rules of `spec/`; none where it is a matter of how the programs are made.
    pub(crate) rules: Vec<String>,
    /// Where they are kept, from the root of the workspace.
    pub(crate) code: Vec<String>,
    /// What plays it.
    pub(crate) tests: Vec<TestName>,
    /// What sees it succeed.
    pub(crate) controls: Vec<Control>,
    /// What is not there yet, and why.
    pub(crate) missing: Vec<String>,
}

/// As nextest names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestName {
    /// A package, with a test binary of it after `::`.
    pub(crate) binary: String,
    /// With its modules.
    pub(crate) name: String,
}

/// A negative control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// The row's own tests, without this defence.
    Without(String),
    /// A test of its own.
    Test(TestName),
}

/// All rows, in their order.
///
/// # Errors
/// The row that is none.
pub(crate) fn rows(page: &str) -> Result<Vec<Row>, String> {
    let rows = page.lines().filter(|line| line.starts_with("| ATK-"));
    rows.map(|line| row(line).ok_or_else(|| format!("not a row: {line}")))
        .collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line
        .strip_prefix('|')?
        .strip_suffix('|')?
        .split('|')
        .map(str::trim)
        .collect();
    let [
        id,
        source,
        attack,
        adversary,
        defence,
        rules,
        code,
        tests,
        controls,
    ] = cells.as_slice()
    else {
        return None;
    };
    Some(Row {
        number: id.strip_prefix("ATK-")?.parse().ok()?,
        source: (*source).to_owned(),
        attack: (*attack).to_owned(),
        adversary: (*adversary).to_owned(),
        defence: (*defence).to_owned(),
        rules: rules
            .split(", ")
            .filter(|rule| *rule != "–")
            .map(str::to_owned)
            .collect(),
        code: quoted(code).map(str::to_owned).collect(),
        tests: quoted(tests).map(test).collect::<Option<_>>()?,
        controls: quoted(controls).map(control).collect::<Option<_>>()?,
        missing: [tests, controls]
            .into_iter()
            .flat_map(|cell| missing(cell))
            .collect(),
    })
}

/// What stands between back quotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn test(item: &str) -> Option<TestName> {
    let (binary, name) = item.split_once(' ')?;
    Some(TestName {
        binary: binary.to_owned(),
        name: name.to_owned(),
    })
}

fn control(item: &str) -> Option<Control> {
    match item.strip_prefix("Defence::") {
        Some(name) => Some(Control::Without(name.to_owned())),
        None => test(item).map(Control::Test),
    }
}

fn missing(cell: &str) -> impl Iterator<Item = String> {
    cell.split("<br>")
        .filter_map(|item| item.trim().strip_prefix("missing: "))
        .map(str::to_owned)
}
