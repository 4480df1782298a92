use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::config::gate::{TELEGRAM_CREDENTIAL, TELEGRAM_TOKEN_VARIABLE, Telegram};

/// The bot's token: whoever has it is the bot. It prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the bot's token cannot be read from {}; make a file that only the gateway's user can read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not look like one.
    #[error("{from} holds no bot token; a token looks like 123456789:AA… and stands there alone")]
    Shape {
        /// Where it came from.
        from: String,
    },
    /// There is none.
    #[error(
        "there is no bot token: name a file in `channels.telegram.token_file`, or give a systemd credential \
         `telegram-token`, or set LAZARUS_TELEGRAM_TOKEN"
    )]
    None,
}

impl Token {
    /// A token as BotFather gives it: digits, a colon, and 30 to 64 letters, digits, `_` and `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (bot, secret) = text.split_once(':')?;
        let digits = !bot.is_empty() && bot.len() <= 20 && bot.bytes().all(|byte| byte.is_ascii_digit());
        let letters = (30..=64).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        (digits && letters).then(|| Self(text.to_owned()))
    }

    /// The token of the configuration: from its file, else from the environment, else from the
    /// credential that systemd hands over.
    ///
    /// # Errors
    /// There is none, or what is there is none.
    pub fn find(config: &Telegram, environment: &BTreeMap<String, String>) -> Result<Self, TokenError> {
        if let Some(path) = &config.token_file {
            return Self::read(path.clone());
        }
        if let Some(text) = environment.get(TELEGRAM_TOKEN_VARIABLE) {
            let from = format!("the variable {TELEGRAM_TOKEN_VARIABLE}");
            return Self::parse(text).ok_or(TokenError::Shape { from });
        }
        match environment.get("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(TELEGRAM_CREDENTIAL)) {
            Some(path) if path.exists() => Self::read(path),
            Some(_) | None => Err(TokenError::None),
        }
    }

    fn read(path: PathBuf) -> Result<Self, TokenError> {
        let text =
            std::fs::read_to_string(&path).map_err(|source| TokenError::Unreadable { path: path.clone(), source })?;
        Self::parse(&text).ok_or_else(|| TokenError::Shape { from: path.display().to_string() })
    }

    /// The bot's own user id, which is no secret.
    pub fn bot_id(&self) -> i64 {
        self.0.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(0)
    }

    /// The token itself, for the address of a call and nothing else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_shape_and_never_prints() {
        let secret = "123456789:AAF-abcdefghijklmnopqrstuvwxyz_012345";
        let token = Token::parse(&format!("  {secret}\n")).unwrap();
        assert_eq!(token.bot_id(), 123_456_789);
        assert!(!format!("{token:?}").contains("AAF"));
        for wrong in
            ["", "x", "12:short", "abc:AAF-abcdefghijklmnopqrstuvwxyz_012345", "1:AAF abcdefghijklmnopqrstuvwxyz_01234"]
        {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
    }
}
