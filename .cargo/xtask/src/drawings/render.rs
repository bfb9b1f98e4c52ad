//! Renders drawings: Mermaid at a pinned version, whose bytes are compared, in a browser without a window. Neither is linked, and
//! the page that the browser opens is a file on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::pages::Drawing;
use crate::prerequisites;
use crate::process::program;

const MERMAID: &str = "11.12.0";
/// Of the one file of it that is used.
const SHA256: &str = "07e37dfa97b337ccc85365d57eddf99b9706f09db3b59b260d0333b23b343c4b";

/// Renders all of them, and writes them where that is asked for.
///
/// Fails when the renderer cannot be had; the drawings that do not render, each with what Mermaid says.
pub(super) fn all(drawings: &[Drawing], out: Option<&Path>) -> Result<()> {
    let browser = prerequisites::ensure_browser()?;
    let mermaid = mermaid()?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let page = folder.path().join("page.html");
    fs::write(&page, html(&mermaid, drawings)?)
        .with_context(|| format!("cannot write {}", page.display()))?;
    let shown = browse(browser, folder.path(), &page)?;
    let mut broken = Vec::new();
    for (drawing, result) in drawings.iter().zip(results(&shown, drawings.len())?) {
        match (result["svg"].as_str(), result["error"].as_str()) {
            (Some(svg), None) => write(out, drawing, svg)?,
            (_, error) => broken.push(format!(
                "{}, drawing {}: {}",
                drawing.page,
                drawing.name,
                error.unwrap_or("nothing was drawn")
            )),
        }
    }
    ensure!(
        broken.is_empty(),
        "drawings do not render:\n{}",
        broken.join("\n")
    );
    Ok(())
}

fn write(out: Option<&Path>, drawing: &Drawing, svg: &str) -> Result<()> {
    let Some(folder) = out else { return Ok(()) };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{}.svg", drawing.name));
    fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))
}

/// Mermaid as one file, fetched by npm where it is missing.
fn mermaid() -> Result<PathBuf> {
    let folder = program(&format!("mermaid-{MERMAID}"))?;
    let file = folder.join("package/dist/mermaid.min.js");
    if !file.exists() {
        prerequisites::ensure_npm()?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let package = format!("mermaid@{MERMAID}");
        quietly(
            Command::new("npm")
                .current_dir(&folder)
                .args(["pack", "--silent", &package]),
        )?;
        let archive = format!("mermaid-{MERMAID}.tgz");
        quietly(Command::new("tar").current_dir(&folder).args([
            "-xzf",
            &archive,
            "package/dist/mermaid.min.js",
        ]))?;
    }
    let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let found: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(
        found == SHA256,
        "{} is not Mermaid {MERMAID}: SHA-256 {found}, and not {SHA256}; remove it and run this again",
        file.display()
    );
    Ok(file)
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "cannot install Mermaid (it comes from npm):\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// A page that renders them one after the other, and then holds what came of each as JSON without `<`.
fn html(mermaid: &Path, drawings: &[Drawing]) -> Result<String> {
    let texts: Vec<&str> = drawings.iter().map(|drawing| drawing.text.as_str()).collect();
    let texts = serde_json::to_string(&texts)?.replace('<', "\\u003c");
    Ok(format!(
        r#"<!doctype html><meta charset="utf-8"><body>
<script src="file://{}"></script>
<script>
mermaid.initialize({{ startOnLoad: false, securityLevel: "strict" }});
(async () => {{
  const results = [];
  for (const [number, text] of {texts}.entries()) {{
    try {{
      const place = document.createElement("div");
      place.innerHTML = (await mermaid.render("drawing" + number, text)).svg;
      results.push({{ svg: new XMLSerializer().serializeToString(place.firstElementChild) }});
    }} catch (error) {{
      results.push({{ error: String(error) }});
    }}
  }}
  const holder = document.createElement("script");
  holder.type = "application/json";
  holder.textContent = "{BEGIN}" + JSON.stringify(results).replaceAll("<", "\\u003c") + "{END}";
  document.body.append(holder);
}})();
</script>"#,
        mermaid.display()
    ))
}

const BEGIN: &str = "results of drawings:";
const END: &str = ":end of results";

fn browse(browser: &str, folder: &Path, page: &Path) -> Result<String> {
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=60000",
        "--dump-dom",
    ]);
    if prerequisites::is_root() {
        // Its sandbox cannot be made by root; the only page that it opens is ours.
        command.arg("--no-sandbox");
    }
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.arg(format!("file://{}", page.display()));
    let output = command
        .output()
        .with_context(|| format!("cannot start {browser}"))?;
    ensure!(
        output.status.success(),
        "{browser} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What came of each. The page's own script has the marks, too, but not in one piece with JSON behind it.
fn results(shown: &str, expected: usize) -> Result<Vec<Value>> {
    let held = shown
        .rsplit_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
        .context("the browser has not come to the end of the drawings")?;
    let results: Value = serde_json::from_str(held.0).context("cannot read what the browser has drawn")?;
    match results {
        Value::Array(results) if results.len() == expected => Ok(results),
        _ => bail!("the browser has drawn another number of drawings"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_drawn_is_no_result() {
        let shown = |json: &str| format!("\"{BEGIN}\" + x + \"{END}\" <script>{BEGIN}{json}{END}</script>");
        assert_eq!(results(&shown(r#"[{"svg":"x"}]"#), 1).unwrap()[0]["svg"], "x");
        assert!(results(&shown("[]"), 1).is_err());
        assert!(results("<body></body>", 0).is_err());
        assert!(results(&format!("\"{BEGIN}\" + x + \"{END}\""), 0).is_err());
    }
}
