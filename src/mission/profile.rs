use serde::Serialize;
use serde_json::Value;

use super::error::MissionError;
use super::shape::Shape;

/// How strongly a mission's cell is to be kept apart from the rest. Declared here; a cell is not
/// launched by the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IsolationProfile {
    /// The name by which it is chosen.
    pub name: String,
    /// What people read.
    pub label: String,
    /// The higher, the stronger.
    pub level: i64,
    /// What does it, such as `directory_workspace`.
    pub mechanism: String,
    /// What it means, in a sentence.
    pub description: Option<String>,
    /// Whether a mission in it can be resumed elsewhere.
    pub supports_resume: bool,
}

impl IsolationProfile {
    /// Reads the reference's form; keys that it does not know are left out.
    pub fn from_value(value: &Value) -> Result<Self, MissionError> {
        let shape = Shape::new("isolation profile", value)?;
        Ok(Self {
            name: shape.text("name")?,
            label: shape.text("label")?,
            level: shape.whole("level")?,
            mechanism: shape.text("mechanism")?,
            description: shape.text_or("description", String::new)?,
            supports_resume: match shape.map.get("supports_resume") {
                None => true,
                Some(Value::Null) => false,
                Some(Value::Bool(supports)) => *supports,
                Some(other) => return Err(shape.wrong("supports_resume", other, "true or false")),
            },
        })
    }
}
