//! A real browser, for the page that `enforcer report --html` writes: opened without a network in a headless Chromium, sorted and searched, and a picture kept.
//!
//! Driven by the DevTools protocol over a pipe (`--remote-debugging-pipe`): messages in JSON, each ended by a zero.

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _, pipe};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::setup::browser;
use crate::ui::Step;

/// Opens the page, sorts its table, searches it, and keeps pictures of it in a folder, light and dark.
pub(crate) fn try_report(page: &Path, pictures: &Path) -> Result<()> {
    let chromium = browser::chromium()?;
    let step = Step::start("the report's page in Chromium");
    let mut tab = Tab::open(&chromium, page)?;
    let rows = tab.number(VISIBLE_ROWS)?;
    ensure!(rows >= 3, "the page shows {rows} rows");
    ensure!(tab.number("document.querySelectorAll('script[src], link[href], img[src]').length")? == 0, "the page wants something from elsewhere");
    tab.picture(&pictures.join("report.png"))?;
    // By a click on a column's head, twice: up and down.
    let button = "document.querySelector('th button')";
    let column = |tab: &mut Tab| tab.text(FIRST_COLUMN);
    let before = column(&mut tab)?;
    tab.evaluate(&format!("{button}.click()"))?;
    let first = (column(&mut tab)?, tab.text(SORTED)?);
    tab.evaluate(&format!("{button}.click()"))?;
    let second = (column(&mut tab)?, tab.text(SORTED)?);
    ensure!(first.1 != second.1 && first.0 != second.0, "sorting changes nothing: {before:?}, {first:?}, {second:?}");
    // By what somebody types.
    tab.evaluate("const search = document.querySelector('input[type=search]'); search.value = 'web'; search.dispatchEvent(new Event('input', {bubbles: true}))")?;
    let found = tab.number(VISIBLE_ROWS)?;
    ensure!(found > 0 && found < rows, "a search for `web` shows {found} of {rows} rows");
    tab.picture(&pictures.join("report-search.png"))?;
    tab.call("Emulation.setEmulatedMedia", &json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] }))?;
    tab.picture(&pictures.join("report-dark.png"))?;
    step.done(&format!("{rows} rows, {found} of them with `web`; sorted both ways"));
    Ok(())
}

const VISIBLE_ROWS: &str = "[...document.querySelectorAll('tbody tr')].filter(row => row.offsetParent !== null).length";
const FIRST_COLUMN: &str = "[...document.querySelector('th button').closest('table').querySelectorAll('tbody tr')].map(row => row.cells[document.querySelector('th button').closest('th').cellIndex].textContent).join('|')";
const SORTED: &str = "document.querySelector('th button').closest('th').getAttribute('aria-sort') || ''";

/// A page in a browser of its own.
struct Tab {
    browser: Child,
    to: PipeWriter,
    from: BufReader<PipeReader>,
    session: Option<String>,
    last: u64,
    _profile: tempfile::TempDir,
}

impl Tab {
    fn open(chromium: &browser::Chromium, page: &Path) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("enforcer-browser-").tempdir_in(chromium.folder())?;
        fs::copy(page, profile.path().join("page.html"))?;
        let (its_input, to) = pipe()?;
        let (from, its_output) = pipe()?;
        let inside = |path: &Path| -> Result<PathBuf> { Ok(Path::new("/").join(path.strip_prefix(chromium.root())?)) };
        let mut command = chromium.command();
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
            "--window-size=1280,1600",
        ]);
        command.arg(format!("--user-data-dir={}", inside(&profile.path().join("profile"))?.display())).arg("about:blank");
        let (read, write) = (its_input.as_raw_fd(), its_output.as_raw_fd());
        // SAFETY: only calls that are safe between fork and exec.
        unsafe {
            command.pre_exec(move || {
                // The descriptors that the browser listens and speaks by. Out of each other's way first.
                let (read, write) = (libc::fcntl(read, libc::F_DUPFD_CLOEXEC, 10), libc::fcntl(write, libc::F_DUPFD_CLOEXEC, 10));
                if read < 0 || write < 0 || libc::dup2(read, 3) < 0 || libc::dup2(write, 4) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let browser = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start Chromium")?;
        drop((its_input, its_output));
        let url = format!("file://{}", inside(&profile.path().join("page.html"))?.display());
        let mut tab = Self { browser, to, from: BufReader::new(from), session: None, last: 0, _profile: profile };
        let target = tab.call("Target.createTarget", &json!({ "url": url }))?;
        let session = tab.call("Target.attachToTarget", &json!({ "targetId": target["targetId"], "flatten": true }))?;
        tab.session = session["sessionId"].as_str().map(str::to_owned);
        // Until it is there as a whole.
        for _ in 0..PATIENCE {
            if tab.text("document.readyState")? == "complete" && tab.text("location.href")? == url {
                return Ok(tab);
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        bail!("the page does not come to an end")
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).with_context(|| format!("{method}: the browser has ended"))?;
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes)?;
            ensure!(bytes.pop() == Some(0), "{method}: the browser has ended");
            let mut answer: Value = serde_json::from_slice(&bytes)?;
            if answer["id"] == self.last {
                ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return Ok(answer["result"].take());
            }
        }
    }

    fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let mut answer = self.call("Runtime.evaluate", &json!({ "expression": format!("{{ {expression} }}"), "returnByValue": true }))?;
        ensure!(answer["exceptionDetails"].is_null(), "`{expression}`: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].take())
    }

    fn text(&mut self, expression: &str) -> Result<String> {
        let value = self.evaluate(expression)?;
        value.as_str().map(str::to_owned).with_context(|| format!("`{expression}` is {value}"))
    }

    fn number(&mut self, expression: &str) -> Result<u64> {
        let value = self.evaluate(expression)?;
        value.as_u64().with_context(|| format!("`{expression}` is {value}"))
    }

    fn picture(&mut self, to: &Path) -> Result<()> {
        let answer = self.call("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }))?;
        let picture = answer["data"].as_str().context("the browser takes no picture")?;
        fs::write(to, STANDARD.decode(picture)?).with_context(|| format!("cannot write `{}`", to.display()))
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        _ = self.browser.kill();
        _ = self.browser.wait();
    }
}

/// Tenths of a second.
const PATIENCE: u32 = 600;
