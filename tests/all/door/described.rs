//! The door's own description, and whether what it answers is what it describes.

use serde_json::Value;

use super::{Answer, nobody, open};

/// What `/v1/openapi.json` says.
pub struct Description(pub Value);

impl Description {
    /// Panics if the answer is not described.
    #[track_caller]
    pub fn allows(&self, method: &str, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap();
        let Some((template, operations)) = self.address(path) else {
            // What does not exist cannot be described.
            assert_eq!(answer.status, 404, "{method} {path} is not described: {answer:?}");
            return self.has_shape(answer, &self.0["components"]["schemas"]["Problem"], "the problem");
        };
        let operation = &operations[method.to_lowercase()];
        if operation.is_null() {
            assert_eq!(answer.status, 405, "{method} {template} is not described: {answer:?}");
            return self.has_shape(answer, &self.0["components"]["schemas"]["Problem"], "the problem");
        }
        let described = &operation["responses"][answer.status.to_string()];
        assert!(!described.is_null(), "{method} {template} does not describe {}: {answer:?}", answer.status);
        let content = described["content"].as_object().expect("every answer has a body");
        let (kind, content) = content.iter().next().unwrap();
        assert!(answer.headers.contains(&format!("content-type: {kind}")), "{template}: {kind}: {answer:?}");
        self.has_shape(answer, &content["schema"], template);
    }

    fn address(&self, path: &str) -> Option<(&String, &Value)> {
        let parts: Vec<&str> = path.split('/').collect();
        self.0["paths"].as_object()?.iter().find(|(template, _)| {
            let of: Vec<&str> = template.split('/').collect();
            of.len() == parts.len()
                && of.iter().zip(&parts).all(|(of, part)| of == part || (of.starts_with('{') && !part.is_empty()))
        })
    }

    #[track_caller]
    fn has_shape(&self, answer: &Answer, schema: &Value, place: &str) {
        if let Err(why) = self.fits(&answer.body, schema, place) {
            panic!("{why}: {answer:?}");
        }
    }

    /// The part of JSON Schema that the description uses.
    fn fits(&self, value: &Value, schema: &Value, place: &str) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.strip_prefix("#/components/schemas/").ok_or("a reference elsewhere")?;
            let of = &self.0["components"]["schemas"][name];
            return if of.is_null() { Err(format!("{name} is not described")) } else { self.fits(value, of, place) };
        }
        if let Some(any) = schema["oneOf"].as_array() {
            let one = any.iter().any(|schema| self.fits(value, schema, place).is_ok());
            return if one { Ok(()) } else { Err(format!("{place} is none of what is described")) };
        }
        let known = ["type", "properties", "required", "items", "enum", "description", "minimum", "maximum", "format"];
        for key in schema.as_object().ok_or(format!("{place} has no schema"))?.keys() {
            if !known.contains(&key.as_str()) {
                return Err(format!("{place}: this test does not know `{key}`"));
            }
        }
        let is = |kind: &str| match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            _ => false,
        };
        let fine = match &schema["type"] {
            Value::String(kind) => is(kind),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
            _ => false,
        };
        if !fine {
            return Err(format!("{place} is {value}, described as {}", schema["type"]));
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return Err(format!("{place} is {value}, which is not described"));
        }
        for (item, n) in value.as_array().into_iter().flatten().zip(0..) {
            self.fits(item, &schema["items"], &format!("{place}[{n}]"))?;
        }
        let (Some(fields), Some(described)) = (value.as_object(), schema["properties"].as_object()) else {
            return Ok(());
        };
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(required) {
                return Err(format!("{place} has no `{required}`"));
            }
        }
        for (key, value) in fields {
            let of = described.get(key).ok_or(format!("{place} has `{key}`, which is not described"))?;
            self.fits(value, of, &format!("{place}.{key}"))?;
        }
        Ok(())
    }
}

#[test]
fn every_address_is_described_and_asks_for_a_token() {
    let world = open(&["ada"], &[], |_| {});
    let nobody = nobody(&world);
    let description = nobody.get("/v1/openapi.json").body;
    assert_eq!(description["openapi"], "3.1.0");
    let mut paths = description["paths"].as_object().unwrap().clone();
    assert!(paths.remove("/v1/openapi.json").is_some());
    assert_eq!(paths.len(), 11, "{:?}", paths.keys());
    for (path, operations) in &paths {
        for (method, operation) in operations.as_object().unwrap() {
            assert_eq!(operation["security"], serde_json::json!([{"token": []}]), "{method} {path}");
            assert!(operation["description"].as_str().or(operation["summary"].as_str()).is_some(), "{path}");
            let path = path.replace("{mission}", "m").replace("{handoff}", "h").replace("{sha256}", "0");
            // A body that is not even looked at without a token.
            let answer = nobody.send(&method.to_uppercase(), &path, &[], "");
            answer.refused(401, "no_token", "it shows no token");
            assert!(answer.headers.contains("www-authenticate: bearer"), "{answer:?}");
        }
        let answer = nobody.send("DELETE", &path.replace(['{', '}'], ""), &[], "");
        assert!(matches!(answer.status, 401 | 405), "{answer:?}");
    }
    nobody.get("/v2/anything").refused(404, "no_such_address", "openapi.json");
}
