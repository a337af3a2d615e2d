//! What `watch` tells: a line for each tick.

use super::Report;
use super::text::thousands;
use crate::outcome::Outcome;
use crate::results::Watch;

impl Report for Watch {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }

    fn text(&self) -> String {
        let mut line = format!(
            "Tick {}: {} new fills, {} new tokens, {} mapped, {} unmapped, in {:.1} s",
            thousands(self.tick),
            thousands(self.new_fills),
            thousands(self.new_tokens),
            thousands(self.mapped),
            thousands(self.unmapped),
            self.elapsed_seconds.0,
        );
        if self.mapped > 0 {
            line.push_str(&format!(
                "; from fill to mapping {} s (half of the tokens), {} s (99 of 100)",
                thousands(self.lag_seconds_p50),
                thousands(self.lag_seconds_p99)
            ));
        }
        if self.full {
            line.push_str(&match self.missed {
                0 => "; all fills were read, nothing had been missed".to_owned(),
                missed => format!("; all fills were read, {} tokens had been missed", thousands(missed)),
            });
        }
        line.push('\n');
        line
    }
}
