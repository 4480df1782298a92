//! Nostr public keys as people write them: 64 hexadecimal digits or `npub1…` (NIP-19).

/// The key in lower-case hexadecimal, or what is wrong. Never repeats the text: a secret key may
/// have been put there by mistake.
pub(super) fn to_hex(text: &str) -> Result<String, String> {
    let text = text.trim();
    let text = text.strip_prefix("nostr:").unwrap_or(text);
    if text.to_ascii_lowercase().starts_with("nsec1") {
        return Err(
            "is a secret key (nsec); remove it from the file, take a fresh one into use, and write its npub".into()
        );
    }
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    const RIGHT: &str = "is no Nostr public key; write npub1… or 64 hexadecimal digits";
    let (prefix, bytes) = bech32::decode(text).map_err(|_| format!("{RIGHT} (it may be mistyped)"))?;
    if prefix.to_lowercase() != "npub" || bytes.len() != 32 {
        return Err(RIGHT.into());
    }
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_key() {
        // The example of NIP-19.
        let npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
        let hex = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";
        assert_eq!(to_hex(npub).as_deref(), Ok(hex));
        assert_eq!(to_hex(&hex.to_uppercase()).as_deref(), Ok(hex));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for bad in [
            "",
            "npub1",
            "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptq",
            "abc",
            "é",
            &"g".repeat(64),
        ] {
            assert!(to_hex(bad).is_err(), "{bad}");
        }
        let secret = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
        let said = to_hex(secret).unwrap_err();
        assert!(said.contains("secret key") && !said.contains(secret), "{said}");
    }
}
