//! Files: where one can be fetched, and fetching it.

use serde_json::{Value, json};

use super::super::State;
use super::super::params::Params;
use super::ApiError;

/// More cannot be fetched.
const MAX_BYTES: usize = 20 * 1024 * 1024;

pub(super) fn get_file(state: &State, params: &Params) -> Result<Value, ApiError> {
    let id = params.text("file_id").unwrap_or_default();
    if id.is_empty() {
        return Err(ApiError::bad("file_id is not specified"));
    }
    let Some((name, bytes)) = state.world.files.get(&id) else { return Err(ApiError::bad("invalid file_id")) };
    if bytes.len() > MAX_BYTES {
        return Err(ApiError::bad("file is too big"));
    }
    Ok(json!({
        "file_id": id, "file_unique_id": unique(&id), "file_size": bytes.len(),
        "file_path": format!("documents/{id}/{name}"),
    }))
}

/// The bytes under a path that `getFile` gave.
pub(in super::super) fn file_at<'state>(state: &'state State, path: &str) -> Option<&'state [u8]> {
    let mut parts = path.strip_prefix("documents/")?.splitn(2, '/');
    let (name, bytes) = state.world.files.get(parts.next()?)?;
    (parts.next()? == name).then_some(bytes.as_slice())
}

/// A `Document`.
pub(super) fn document_json(id: &str, name: &str, size: usize) -> Value {
    json!({"file_id": id, "file_unique_id": unique(id), "file_name": name, "file_size": size})
}

/// The same file's other id.
fn unique(id: &str) -> String {
    format!("Ag{}", &id[id.len() - 8..])
}
