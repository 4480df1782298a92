//! HTML as `parse_mode` has it: the tags, the entities and the errors of the official server.

use serde_json::{Value, json};

/// An element whose end tag has not come yet.
struct Open {
    tag: String,
    /// The entity that it becomes; `None` for a link that its text must give.
    entity: Option<Value>,
    /// UTF-16 units of text before it.
    start: usize,
    /// Bytes of text before it.
    start_byte: usize,
}

/// The text and its entities; offsets and lengths in UTF-16 units. An error is what stands behind
/// `can't parse entities: `.
pub(super) fn parse(html: &str) -> Result<(String, Vec<Value>), String> {
    let mut text = String::new();
    let mut units = 0;
    let mut open: Vec<Open> = Vec::new();
    let mut entities = Vec::new();
    let mut at = 0;
    while let Some(next) = html[at..].chars().next() {
        match next {
            '&' => {
                let (decoded, length) = character(&html[at..]).unwrap_or(('&', 1));
                text.push(decoded);
                units += decoded.len_utf16();
                at += length;
            }
            '<' if html[at + 1..].starts_with('/') => {
                let begin = at;
                let Some(end) = html[at..].find('>') else {
                    return Err(format!("Unclosed end tag at byte offset {begin}"));
                };
                let tag = html[at + 2..at + end].trim().to_lowercase();
                at += end + 1;
                let Some(element) = open.pop() else {
                    return Err(format!("Unexpected end tag at byte offset {begin}"));
                };
                if !tag.is_empty() && tag != element.tag {
                    return Err(format!(
                        "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{tag}>\"",
                        element.tag
                    ));
                }
                if units > element.start
                    && let Some(mut entity) = element.entity.or_else(|| link(&text[element.start_byte..]))
                {
                    entity["offset"] = json!(element.start);
                    entity["length"] = json!(units - element.start);
                    entities.push(entity);
                }
            }
            '<' => {
                let (tag, attributes, length) = start_tag(html, at)?;
                let entity = entity_of(&tag, &attributes, at)?;
                at += length;
                open.push(Open { tag, entity, start: units, start_byte: text.len() });
            }
            _ => {
                let end = html[at..].find(['&', '<']).map_or(html.len(), |length| at + length);
                text.push_str(&html[at..end]);
                units += html[at..end].encode_utf16().count();
                at = end;
            }
        }
    }
    join_code_blocks(&mut entities);
    if let Some(element) = open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", element.tag));
    }
    entities.sort_by_key(|entity| {
        let number = |name: &str| entity[name].as_u64().unwrap_or(0);
        (number("offset"), u64::MAX - number("length"))
    });
    Ok((text, entities))
}

/// `<pre><code class="language-x">` is one entity with a language; the language of code alone counts
/// for nothing.
fn join_code_blocks(entities: &mut Vec<Value>) {
    let blocks: Vec<_> = entities.iter().filter(|entity| entity["type"] == "pre").cloned().collect();
    let same_place = |one: &Value, other: &Value| one["offset"] == other["offset"] && one["length"] == other["length"];
    let languages: Vec<_> = entities.iter().filter(|entity| entity.get("language").is_some()).cloned().collect();
    entities.retain(|entity| entity.get("language").is_none() || !blocks.iter().any(|block| same_place(block, entity)));
    for entity in entities {
        let language = languages.iter().find(|code| entity["type"] == "pre" && same_place(code, entity));
        if let Some(fields) = entity.as_object_mut() {
            fields.remove("language");
            if let Some(code) = language {
                fields.insert("language".to_owned(), code["language"].clone());
            }
        }
    }
}

/// Without the white space around it, as the server keeps texts.
pub(super) fn trimmed(text: String, entities: Vec<Value>) -> (String, Vec<Value>) {
    let kept = text.trim_end();
    let lead: usize = kept.chars().take_while(|char| char.is_whitespace()).map(char::len_utf16).sum();
    let kept = kept.trim_start();
    let end = kept.encode_utf16().count();
    let entities = entities
        .into_iter()
        .filter_map(|mut entity| {
            let number = |name: &str| usize::try_from(entity[name].as_u64()?).ok();
            let (from, length) = (number("offset")?, number("length")?);
            let to = (from + length).saturating_sub(lead).min(end);
            let from = from.saturating_sub(lead);
            entity["offset"] = json!(from);
            entity["length"] = json!(to.checked_sub(from).filter(|length| *length > 0)?);
            Some(entity)
        })
        .collect();
    (kept.to_owned(), entities)
}

type Attributes = Vec<(String, String)>;

/// The start tag at byte `begin`: its name, its attributes, and its length in bytes.
fn start_tag(html: &str, begin: usize) -> Result<(String, Attributes, usize), String> {
    let unclosed = || format!("Unclosed start tag at byte offset {begin}");
    let rest = &html[begin + 1..];
    let name_end = rest.find(|char: char| char.is_whitespace() || char == '>').ok_or_else(unclosed)?;
    let tag = rest[..name_end].to_lowercase();
    if !is_known(&tag) {
        return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}"));
    }
    let mut attributes = Vec::new();
    let mut at = name_end;
    loop {
        at += rest[at..].len() - rest[at..].trim_start().len();
        if rest[at..].starts_with('>') {
            return Ok((tag, attributes, at + 2));
        }
        let end =
            rest[at..].find(|char: char| char.is_whitespace() || char == '=' || char == '>').ok_or_else(unclosed)?;
        if end == 0 {
            return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"));
        }
        let name = rest[at..at + end].to_lowercase();
        at += end;
        let Some(value) = rest[at..].trim_start().strip_prefix('=') else {
            // The one attribute without a value.
            if name == "expandable" {
                attributes.push((name, String::new()));
                continue;
            }
            return Err(format!(
                "Expected equal sign in declaration of an attribute of the tag \"{tag}\" at byte offset {begin}"
            ));
        };
        let value = value.trim_start();
        at = rest.len() - value.len();
        let quote = value.chars().next().filter(|char| matches!(char, '"' | '\''));
        let (value, length) = match quote {
            Some(quote) => {
                let end = value[1..].find(quote).ok_or_else(unclosed)?;
                (&value[1..=end], end + 2)
            }
            None => {
                let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-');
                let end = value.find(|char: char| !is_name(char)).ok_or_else(unclosed)?;
                if !value[end..].starts_with(|char: char| char.is_whitespace() || char == '>') {
                    let offset = html.len() - value.len();
                    return Err(format!("Unexpected end of name token at byte offset {offset}"));
                }
                (&value[..end], end)
            }
        };
        attributes.push((name, decoded(value)));
        at += length;
    }
}

fn is_known(tag: &str) -> bool {
    matches!(
        tag,
        "a" | "b"
            | "strong"
            | "i"
            | "em"
            | "s"
            | "strike"
            | "del"
            | "u"
            | "ins"
            | "tg-spoiler"
            | "tg-emoji"
            | "span"
            | "pre"
            | "code"
            | "blockquote"
    )
}

/// The entity that a tag becomes, without its place.
fn entity_of(tag: &str, attributes: &Attributes, begin: usize) -> Result<Option<Value>, String> {
    let attribute = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    Ok(Some(match tag {
        "b" | "strong" => json!({"type": "bold"}),
        "i" | "em" => json!({"type": "italic"}),
        "s" | "strike" | "del" => json!({"type": "strikethrough"}),
        "u" | "ins" => json!({"type": "underline"}),
        "tg-spoiler" => json!({"type": "spoiler"}),
        "span" if attribute("class") == Some("tg-spoiler") => json!({"type": "spoiler"}),
        "span" => return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}")),
        "tg-emoji" => match attribute("emoji-id") {
            Some(id) => json!({"type": "custom_emoji", "custom_emoji_id": id}),
            None => return Err(format!("Tag \"tg-emoji\" must have attribute \"emoji-id\" at byte offset {begin}")),
        },
        "pre" => json!({"type": "pre"}),
        "code" => match attribute("class").and_then(|class| class.strip_prefix("language-")) {
            Some(language) => json!({"type": "code", "language": language}),
            None => json!({"type": "code"}),
        },
        "blockquote" if attribute("expandable").is_some() => json!({"type": "expandable_blockquote"}),
        "blockquote" => json!({"type": "blockquote"}),
        "a" => return Ok(attribute("href").and_then(link)),
        _ => return Ok(None),
    }))
}

/// A link to what looks like an address, or a mention of a person.
fn link(address: &str) -> Option<Value> {
    if let Some(user) = address.strip_prefix("tg://user?id=").and_then(|id| id.parse::<i64>().ok()) {
        let user = json!({"id": user, "is_bot": false, "first_name": format!("user {user}")});
        return Some(json!({"type": "text_mention", "user": user}));
    }
    let with_scheme = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let host = with_scheme.split("://").nth(1)?.split(['/', '?', '#']).next()?;
    let is_address = host.contains('.') || with_scheme.starts_with("tg://");
    (is_address && !address.contains(char::is_whitespace)).then(|| json!({"type": "text_link", "url": with_scheme}))
}

fn decoded(text: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let (char, length) = character(&text[at..]).unwrap_or((next, next.len_utf8()));
        out.push(char);
        at += length;
    }
    out
}

/// The character that `&...;` at the start of the text stands for, and its length in bytes. The four
/// names there are, and numbers; anything else is no entity.
fn character(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix('&')?;
    for (name, char) in [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')] {
        if let Some(after) = rest.strip_prefix(name)
            && !after.starts_with(|char: char| char.is_ascii_alphabetic())
        {
            return Some((char, 1 + name.len() + usize::from(after.starts_with(';'))));
        }
    }
    let number = rest.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    let end = digits.find(|char: char| !char.is_digit(radix)).unwrap_or(digits.len());
    let char = char::from_u32(u32::from_str_radix(&digits[..end], radix).ok()?).filter(|char| *char != '\0')?;
    let before = text.len() - digits.len();
    Some((char, before + end + usize::from(digits[end..].starts_with(';'))))
}
