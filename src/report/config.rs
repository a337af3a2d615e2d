//! What `config` and `runs` print.

use super::Report;
use super::text::Page;
use crate::outcome::Outcome;
use crate::results::{Runs, Setting};

impl Report for Vec<Setting> {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }

    fn text(&self) -> String {
        let mut page = Page::titled("SETTINGS");
        let width = self.iter().map(|it| it.setting.len()).max().unwrap_or_default();
        for Setting { setting, value, from } in self {
            page.line(format!("{setting:<width$}  {from:<11}  {value}").trim_end());
        }
        page.into_text()
    }
}

impl Report for Runs {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }

    fn text(&self) -> String {
        let mut page = Page::titled("RUNS");
        page.line(format!("{:<9} {:<20} {:>9} {:>4}  {}", "phase", "began (UTC)", "took", "exit", "run"));
        for run in &self.runs {
            let took = run.seconds.map_or("–".to_owned(), |it| format!("{:.1}s", it.0));
            let exit = run.exit.map_or("–".to_owned(), |it| it.to_string());
            let began = run.began.strftime("%Y-%m-%d %H:%M:%S").to_string();
            page.line(format!("{:<9} {began:<20} {took:>9} {exit:>4}  {}", run.phase, run.run));
            if let Some(error) = &run.error {
                page.line(format!("          {}", error.lines().next().unwrap_or_default()));
            }
        }
        if self.runs.is_empty() {
            page.line("Nothing has run yet in CHECKPOINT_DIR.");
        }
        if self.unreadable_lines > 0 {
            page.blank().line(format!("{} lines of the journal could not be read", self.unreadable_lines));
        }
        page.into_text()
    }
}
