//! Text that others supply (reasons, the output of commands, hosts, refusals) may steer a terminal,
//! hide behind invisible characters or turn what stands beside it around. Whatever reaches a person
//! passes [`harmless`] first (invariant 11).

/// How many combining marks may stand upon one character; more is no writing, only clutter.
const MARKS_MAX: usize = 3;

/// Characters of a reason that somebody gave.
pub const REASON_MAX: usize = 200;
/// Characters of a short text: a host, an id, a name that was not checked.
pub const SHORT_MAX: usize = 80;
/// Columns of a terminal at 3 a.m.
pub const WIDTH: usize = 80;

/// One line of visible text of at most `max_chars` characters: without control characters, terminal
/// sequences (as a whole), bidi controls and other invisible characters; every run of blanks and
/// line breaks becomes one blank. What is cut off is counted at the end, as `… (312 more)`.
/// Doing it twice changes nothing more.
pub fn harmless(text: &str, max_chars: usize) -> String {
    shortened(visible(text), max_chars)
}

fn visible(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(4096));
    let mut rest = text;
    let mut marks = 0;
    while let Some(c) = rest.chars().next() {
        let length = terminal_sequence(rest);
        if length > 0 {
            rest = rest.get(length..).unwrap_or("");
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or("");
        if is_blank(c) {
            if !kept.is_empty() && !kept.ends_with(' ') {
                kept.push(' ');
            }
            marks = 0;
        } else if is_mark(c) {
            marks += 1;
            if marks <= MARKS_MAX && !kept.is_empty() {
                kept.push(c);
            }
        } else if !is_invisible(c) {
            kept.push(c);
            marks = 0;
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

fn shortened(text: String, max_chars: usize) -> String {
    let length = text.chars().count();
    if length <= max_chars {
        return text;
    }
    let note = |cut: usize| format!("… ({cut} more)");
    let keep = max_chars.saturating_sub(note(length).chars().count());
    if keep == 0 {
        return text.chars().take(max_chars.saturating_sub(1)).chain((max_chars > 0).then_some('…')).collect();
    }
    let kept: String = text.chars().take(keep).collect();
    format!("{}{}", kept.trim_end(), note(length - keep))
}

/// The length in bytes of the terminal sequence that `text` begins with; 0 if it begins with none.
/// A string sequence without an end counts by its introducer only: it must not swallow what follows.
fn terminal_sequence(text: &str) -> usize {
    let mut chars = text.chars();
    let introducer = match chars.next() {
        Some('\u{1b}') => chars.next(),
        Some('\u{9b}') => Some('['),
        Some('\u{9d}') => Some(']'),
        Some('\u{90}') => Some('P'),
        Some('\u{98}') => Some('X'),
        Some('\u{9e}') => Some('^'),
        Some('\u{9f}') => Some('_'),
        _ => return 0,
    };
    let begun = text.len() - chars.as_str().len();
    let body = chars.as_str();
    match introducer {
        Some('[') => {
            let parameters = body.trim_start_matches(|c| matches!(c, '\u{20}'..='\u{3f}'));
            let end = parameters.strip_prefix(|c| matches!(c, '\u{40}'..='\u{7e}')).unwrap_or(parameters);
            text.len() - end.len()
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let ends = [("\u{7}", 1), ("\u{1b}\\", 2), ("\u{9c}", 2)];
            let end = ends.iter().filter_map(|(end, length)| body.find(end).map(|at| at + length)).min();
            begun + end.unwrap_or(0)
        }
        Some('\u{20}'..='\u{2f}') => {
            let end = body.trim_start_matches(|c| matches!(c, '\u{20}'..='\u{2f}'));
            let end = end.strip_prefix(|c| matches!(c, '\u{30}'..='\u{7e}')).unwrap_or(end);
            text.len() - end.len()
        }
        Some('\u{30}'..='\u{7e}') => begun,
        _ => 1,
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{180e}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Controls, format characters, fillers, variation selectors, tags, interlinear annotation,
/// noncharacters and private use: nothing of it is visible the same way everywhere.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
}

/// Breaks a line at blanks so that no line is longer than [`WIDTH`], where its words allow that; the
/// lines after the first are indented by two blanks more than it.
pub(super) fn wrapped(line: &str) -> Vec<String> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    if line.chars().count() <= WIDTH {
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    let mut current = " ".repeat(indent);
    let mut width = indent;
    let mut begun = false;
    for word in words(line) {
        let more = word.chars().count();
        if begun && width + 1 + more > WIDTH {
            lines.push(std::mem::replace(&mut current, " ".repeat(indent + 2)));
            width = indent + 2;
            begun = false;
        }
        if begun {
            current.push(' ');
            width += 1;
        }
        current.push_str(&word);
        width += more;
        begun = true;
    }
    lines.push(current);
    lines
}

/// Whether a word only says of what the number before it is: "2 s" is not torn apart.
fn is_unit(word: &str) -> bool {
    matches!(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()), "ms" | "s" | "min" | "h" | "d")
}

/// The words of a line; a command in backticks is one word, so that it can be read and copied whole.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        match words.last_mut() {
            Some(open) if is_unit(word) && open.ends_with(|c: char| c.is_ascii_digit()) => {
                open.push(' ');
                open.push_str(word);
            }
            Some(open) if open.matches('`').count() % 2 == 1 && open.chars().count() < WIDTH / 2 => {
                open.push(' ');
                open.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// `a, b, c`, or `none` where there is nothing.
pub(super) fn list(of: impl IntoIterator<Item = impl ToString>, none: &str) -> String {
    let items: Vec<String> = of.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_or_hide_is_gone() {
        for (hostile, left) in [
            ("plain", "plain"),
            ("  two\r\n\tlines \u{2028} here  ", "two lines here"),
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{9b}2Jcleared", "cleared"),
            ("\u{1b}[?25", ""),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9d}52;c;cm0=\u{9c}x", "x"),
            ("\u{1b}]0;never ends", "0;never ends"),
            ("\u{1b}Pdevice\u{1b}\\x", "x"),
            ("\u{1b}(B\u{1b}cx", "x"),
            ("\u{1b}é", "é"),
            ("end\u{1b}", "end"),
            ("a\u{202e}b\u{2066}c\u{2069}\u{200f}\u{61c}d", "abcd"),
            ("z\u{200b}e\u{200d}r\u{feff}o\u{ad}", "zero"),
            ("tag\u{e0041}\u{e007f}s", "tags"),
            ("bell\u{7}\u{8}\u{0}\u{7f}\u{85}s", "bell s"),
            ("fill\u{3164}er", "fill er"),
            ("a\u{301}\u{301}\u{301}\u{301}\u{301}b", "a\u{301}\u{301}\u{301}b"),
            ("\u{301}", ""),
            ("שלום 你好 Grüße", "שלום 你好 Grüße"),
        ] {
            assert_eq!(harmless(hostile, 80), left, "{hostile:?}");
        }
    }

    #[test]
    fn what_is_cut_is_counted() {
        let long = "x".repeat(500);
        assert_eq!(harmless(&long, 20), "xxxxxxxx… (492 more)");
        for max in [0, 1, 5, 13, 14, 100, 499, 500, 501] {
            let text = harmless(&long, max);
            assert!(text.chars().count() <= max, "{max}");
            assert_eq!(harmless(&text, max), text, "{max}");
        }
        assert_eq!(harmless(&long, 500), long);
    }

    #[test]
    fn long_lines_break_at_blanks_under_their_beginning() {
        let line = format!("  {}", ["word"; 30].join(" "));
        let lines = wrapped(&line);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines[0].starts_with("  word") && lines[1].starts_with("    word"));
        assert_eq!(wrapped(&"x".repeat(100)), ["x".repeat(100)], "a word is never broken");
    }
}
