//! What `doctor` prints.

use super::Report;
use super::text::{Page, runtime};
use crate::outcome::Outcome;
use crate::results::{Doctor, Health};

impl Report for Doctor {
    fn outcome(&self) -> Outcome {
        if self.healthy { Outcome::Done } else { Outcome::Failed }
    }

    fn text(&self) -> String {
        whole(self)
    }
}

/// A line for each thing that was looked at, and below it what to do.
fn whole(result: &Doctor) -> String {
    let mut page = Page::titled("DOCTOR");
    page.blank();
    let width = result.checks.iter().map(|check| check.subject.chars().count()).max().unwrap_or(0);
    for check in &result.checks {
        let mark = match check.status {
            Health::Good => "✓ ",
            Health::Note => "ℹ️ ",
            Health::Bad => "✗ ",
        };
        let latency = check.latency_ms.map_or(String::new(), |it| format!("{} ms", it.floor()));
        page.line(format!("{mark} {:<width$}  {latency:>8}  {}", check.subject, check.detail));
        if let Some(advice) = &check.advice {
            page.line(format!("   {:<width$}  {:>8}  → {advice}", "", ""));
        }
    }
    let bad = result.checks.iter().filter(|check| check.status == Health::Bad).count();
    page.blank();
    page.line(match bad {
        0 => "✅ Everything that is needed can be used".to_owned(),
        1 => "✗ One thing cannot be used: what to do stands below it".to_owned(),
        _ => format!("✗ {bad} things cannot be used: what to do stands below each"),
    });
    page.line(format!("Runtime: {}", runtime(result.elapsed_seconds.0)));
    page.into_text()
}
