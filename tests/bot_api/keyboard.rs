//! `reply_markup`, checked as the server checks it.

use serde_json::Value;

use super::methods::ApiError;
use super::params::Params;

/// The markup of a call, if it has any.
pub(super) fn read(params: &Params) -> Result<Option<Value>, ApiError> {
    let markup = match params.json("reply_markup") {
        None => return Ok(None),
        Some(Ok(markup @ Value::Object(_))) => markup,
        Some(Ok(_)) => return Err(ApiError::bad("object expected as reply markup")),
        Some(Err(())) => return Err(ApiError::bad("can't parse reply keyboard markup JSON object")),
    };
    if let Some(rows) = markup.get("inline_keyboard") {
        check_rows(rows)?;
    } else if markup["force_reply"] == true
        && markup["input_field_placeholder"].as_str().is_some_and(|text| text.chars().count() > 64)
    {
        return Err(ApiError::bad("PLACEHOLDER_TOO_LONG"));
    }
    Ok(Some(markup))
}

fn check_rows(rows: &Value) -> Result<(), ApiError> {
    let Value::Array(rows) = rows else {
        return Err(ApiError::bad("field \"inline_keyboard\" must be of type Array"));
    };
    for row in rows {
        let Value::Array(row) = row else {
            return Err(ApiError::bad("field \"inline_keyboard\" must be an Array of Arrays"));
        };
        for button in row {
            check_button(button)?;
        }
    }
    if rows.iter().filter_map(Value::as_array).map(Vec::len).sum::<usize>() > 100 {
        return Err(ApiError::bad("REPLY_MARKUP_TOO_LONG"));
    }
    Ok(())
}

fn check_button(button: &Value) -> Result<(), ApiError> {
    let unparsable = |why: &str| ApiError::bad(format!("can't parse inline keyboard button: {why}"));
    if !button.is_object() {
        return Err(unparsable("InlineKeyboardButton must be an Object"));
    }
    let Some(text) = button["text"].as_str() else { return Err(unparsable("Can't find field \"text\"")) };
    if text.trim().is_empty() {
        return Err(ApiError::bad("BUTTON_TEXT_INVALID"));
    }
    let data = button.get("callback_data").and_then(Value::as_str);
    if let Some(data) = data
        && !(1..=64).contains(&data.len())
    {
        return Err(ApiError::bad("BUTTON_DATA_INVALID"));
    }
    if let Some(copied) = button["copy_text"]["text"].as_str()
        && !(1..=256).contains(&copied.chars().count())
    {
        return Err(ApiError::bad("BUTTON_COPY_TEXT_INVALID"));
    }
    let does_something = ["url", "copy_text", "web_app", "switch_inline_query", "login_url"]
        .iter()
        .any(|field| button.get(field).is_some_and(|value| !value.is_null()));
    if data.is_none() && !does_something {
        return Err(unparsable("Text buttons are unallowed in the inline keyboard"));
    }
    Ok(())
}
