//! What `doctor` prints.

use serde_json::{Value, json};

use super::text::{Page, runtime};
use crate::phases::doctor::{Check, DoctorResult, Health};

/// A line for each thing that was looked at, and below it what to do.
pub fn text(result: &DoctorResult) -> String {
    let mut page = Page::titled("DOCTOR");
    page.blank();
    let width = result.checks.iter().map(|check| check.subject.chars().count()).max().unwrap_or(0);
    for check in &result.checks {
        let mark = match check.health {
            Health::Good => "✓ ",
            Health::Note => "ℹ️ ",
            Health::Bad => "✗ ",
        };
        let latency = check.latency.map_or(String::new(), |it| format!("{} ms", it.as_millis()));
        page.line(format!("{mark} {:<width$}  {latency:>8}  {}", check.subject, check.detail));
        if let Some(advice) = &check.advice {
            page.line(format!("   {:<width$}  {:>8}  → {advice}", "", ""));
        }
    }
    let bad = result.checks.iter().filter(|check| check.health == Health::Bad).count();
    page.blank();
    page.line(match bad {
        0 => "✅ Everything that is needed can be used".to_owned(),
        1 => "✗ One thing cannot be used: what to do stands below it".to_owned(),
        _ => format!("✗ {bad} things cannot be used: what to do stands below each"),
    });
    page.line(format!("Runtime: {}", runtime(result.elapsed_seconds)));
    page.into_text()
}

/// The result as one object.
pub fn json(result: &DoctorResult) -> Value {
    let check = |check: &Check| {
        json!({
            "subject": check.subject,
            "status": match check.health {
                Health::Good => "ok",
                Health::Note => "note",
                Health::Bad => "bad",
            },
            "detail": check.detail,
            "advice": check.advice,
            "latency_ms": check.latency.map(|it| (it.as_secs_f64() * 10_000.0).round() / 10.0),
            "clock_ahead_seconds": check.clock_ahead,
        })
    };
    json!({
        "phase": "doctor",
        "healthy": result.is_healthy(),
        "checks": result.checks.iter().map(check).collect::<Vec<_>>(),
        "elapsed_seconds": result.elapsed_seconds,
    })
}
