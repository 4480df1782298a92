//! Cards and texts for a chat with markup and buttons. The markup is HTML of the few tags that Telegram
//! knows; whatever others supplied is escaped, and nothing is ever cut in the middle of it: what does
//! not fit is left out whole, and that is said.

use super::card::{AnswerOption, Card};

/// Longest text of one message, in UTF-16 units after the markup was taken away. Telegram takes 4,096.
pub const CHAT_MAX: usize = 3500;
/// Substitutes that get a button; the others can be typed.
const SUBSTITUTES_MAX: usize = 3;
/// Names of further substitutes that stand on a card; `explain` has them all.
const NAMED_MAX: usize = 10;
/// What a banner above the card and the words between its parts may take, in UTF-16 units.
const AROUND_MAX: usize = 320;
/// Longest answer to a tap, in UTF-16 units.
pub const ANSWER_MAX: usize = 200;
/// Longest label of a button, in characters.
const LABEL_MAX: usize = 40;

/// `text` as it stands between tags.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// The length that counts for Telegram.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

impl Card {
    /// The card with markup, for one chat message.
    pub fn to_html(&self) -> String {
        let hint = (!self.answers.is_empty()).then(|| hint(self));
        let fixed = units(&self.title) + units(&self.footer) + hint.as_deref().map_or(0, units) + AROUND_MAX;
        let mut left = CHAT_MAX.saturating_sub(fixed);
        let mut fits = |line: &String| {
            let needed = units(line) + 1;
            let fits = needed <= left;
            left -= if fits { needed } else { 0 };
            fits
        };
        let lines: Vec<&String> = self.lines.iter().filter(|line| fits(line)).collect();
        let recent: Vec<&String> = self.recent.iter().filter(|line| fits(line)).collect();
        let dropped = self.lines.len() + self.recent.len() - lines.len() - recent.len();
        let mut parts = vec![format!("<b>{}</b>", escaped(&self.title))];
        parts.extend(lines.into_iter().map(|line| escaped(line)));
        if !recent.is_empty() {
            let said: Vec<String> = recent.into_iter().map(|line| escaped(line)).collect();
            parts.push(format!("<blockquote expandable>Lately:\n{}</blockquote>", said.join("\n")));
        }
        if dropped > 0 {
            parts.push(format!("({dropped} more lines: <code>/show {}</code>)", self.code()));
        }
        parts.extend(hint.as_deref().map(escaped));
        parts.push(with_code(&self.footer, &self.code().to_string()));
        parts.join("\n")
    }

    /// Its answers as buttons, row by row: what may be pressed half asleep stands alone.
    pub fn button_rows(&self) -> Vec<Vec<(String, AnswerOption)>> {
        let mut rows = Vec::new();
        let mut last = Vec::new();
        let mut substitutes = 0;
        for answer in &self.answers {
            let label = match answer {
                AnswerOption::Approve => "Restart".to_owned(),
                AnswerOption::Substitute(agent) => format!("Substitute: {agent}"),
                AnswerOption::Deny => "Deny".to_owned(),
                AnswerOption::Snooze(for_) => format!("Snooze {}", super::time::human(*for_)),
            };
            let button = (super::plain::harmless(&label, LABEL_MAX), answer.clone());
            match answer {
                AnswerOption::Approve => rows.push(vec![button]),
                AnswerOption::Substitute(_) => {
                    substitutes += 1;
                    if substitutes <= SUBSTITUTES_MAX {
                        rows.push(vec![button]);
                    }
                }
                AnswerOption::Deny | AnswerOption::Snooze(_) => last.push(button),
            }
        }
        rows.push(last);
        rows.retain(|row| !row.is_empty());
        rows
    }
}

/// How to answer by word; the buttons say the rest.
fn hint(card: &Card) -> String {
    let names = card.answers.iter().filter_map(|answer| match answer {
        AnswerOption::Substitute(agent) => Some(agent.as_str()),
        AnswerOption::Approve | AnswerOption::Deny | AnswerOption::Snooze(_) => None,
    });
    let more: Vec<&str> = names.skip(SUBSTITUTES_MAX).collect();
    let others = match (more.len(), more.len().saturating_sub(NAMED_MAX)) {
        (0, _) => String::new(),
        (_, 0) => format!(" More substitutes: {}.", more.join(", ")),
        (_, unnamed) => format!(" More substitutes: {} and {unnamed} others.", more[..NAMED_MAX].join(", ")),
    };
    format!("Or reply to this message, for example: deny because …{others}")
}

/// The footer, with the code so that one tap copies it.
fn with_code(footer: &str, code: &str) -> String {
    let escaped_footer = escaped(footer);
    escaped_footer.replacen(code, &format!("<code>{code}</code>"), 1)
}

/// `text` in pieces of one message each, broken at line breaks where that is possible.
pub fn pages(text: &str) -> Vec<String> {
    let mut pages = Vec::new();
    let mut page = String::new();
    let mut used = 0;
    for line in text.lines() {
        for piece in pieces(line) {
            let needed = units(&piece) + 1;
            if used + needed > CHAT_MAX && !page.is_empty() {
                pages.push(std::mem::take(&mut page));
                used = 0;
            }
            if !page.is_empty() {
                page.push('\n');
            }
            page.push_str(&piece);
            used += needed;
        }
    }
    if !page.is_empty() || pages.is_empty() {
        pages.push(page);
    }
    pages
}

/// A line that is too long for any page, in pieces that are not.
fn pieces(line: &str) -> Vec<String> {
    if units(line) < CHAT_MAX {
        return vec![line.to_owned()];
    }
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        if used + c.len_utf16() >= CHAT_MAX {
            pieces.push(String::new());
            used = 0;
        }
        used += c.len_utf16();
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    pieces
}

/// `text` as the answer to a tap, which is short: cut at a sentence where it is too long.
pub fn tap_answer(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if units(&line) <= ANSWER_MAX {
        return line;
    }
    let mut kept = String::new();
    for sentence in line.split_inclusive(". ") {
        if units(&kept) + units(sentence) > ANSWER_MAX - 1 {
            break;
        }
        kept.push_str(sentence);
    }
    if kept.is_empty() {
        let mut left = ANSWER_MAX - 1;
        kept = line.chars().take_while(|c| left.checked_sub(c.len_utf16()).map(|now| left = now).is_some()).collect();
    }
    format!("{}…", kept.trim_end().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_is_markup() {
        assert_eq!(escaped("<b>&\"x\"</b>"), "&lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;");
    }

    #[test]
    fn long_texts_are_paged_without_losing_anything() {
        let text = (0..900).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let paged = pages(&text);
        assert!(paged.len() > 1 && paged.iter().all(|page| units(page) <= CHAT_MAX));
        assert_eq!(paged.join("\n"), text);
        let endless = "𝕏".repeat(5000);
        let paged = pages(&endless);
        assert!(paged.iter().all(|page| units(page) <= CHAT_MAX));
        assert_eq!(paged.concat().replace('\n', ""), endless);
        assert_eq!(pages(""), [""]);
    }

    #[test]
    fn answers_to_taps_are_short() {
        assert_eq!(tap_answer("refused: no.\nDo this."), "refused: no. Do this.");
        let long = tap_answer(&format!("First. {}", "second ".repeat(50)));
        assert_eq!(long, "First…");
        assert!(units(&tap_answer(&"x".repeat(500))) <= ANSWER_MAX);
        assert!(units(&tap_answer(&"𝕏".repeat(500))) <= ANSWER_MAX);
    }
}
