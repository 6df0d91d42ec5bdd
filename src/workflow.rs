//! A workflow with its code: what an engine is given to serve.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_runner::Handlers;
use windlass_scheduler::Request;
use windlass_store::sync::Arc;
use windlass_workflow_model::{Definition, Functions, InvalidWorkflow, Payload};

use crate::flow::Flow;

/// Data without a type of its own, for workflows that come from files.
pub type Json = serde_json::Value;

/// A workflow whose branches carry a `T`, with the functions and handlers that it brings along.
/// Cheap to clone.
#[derive(Debug)]
pub struct Workflow<T = Json> {
    pub(crate) definition: Arc<Definition>,
    pub(crate) functions: Functions,
    pub(crate) handlers: Handlers,
    data: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Workflow<T> {
    fn clone(&self) -> Self {
        Self {
            definition: Arc::clone(&self.definition),
            functions: self.functions.clone(),
            handlers: self.handlers.clone(),
            data: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Workflow<T> {
    /// Builds a workflow. The name and version stand for this definition for ever: give a changed
    /// one a new version.
    ///
    /// # Errors
    /// [`InvalidWorkflow`] with all problems at once.
    pub fn build(
        name: impl Into<String>,
        version: impl Into<String>,
        body: impl FnOnce(Flow<T>) -> Flow<T>,
    ) -> Result<Self, InvalidWorkflow> {
        let (definition, functions, handlers) = Flow::definition(name, version, body)?;
        Ok(Self::from_parts(definition, functions, handlers))
    }

    /// A run of this workflow with `input`.
    ///
    /// # Errors
    /// When the input has no JSON form.
    pub fn request(&self, input: &T) -> Result<Request, serde_json::Error> {
        let request = Request::new(self.definition.name(), Payload::encode(input)?);
        Ok(request.version(self.definition.version()))
    }
}

impl<T> Workflow<T> {
    /// A workflow from its parts, as importers make them. Handlers that it does not bring along
    /// must be given to the engine.
    pub fn from_parts(definition: Definition, functions: Functions, handlers: Handlers) -> Self {
        Self {
            definition: Arc::new(definition),
            functions,
            handlers,
            data: PhantomData,
        }
    }

    /// A workflow from JSON (see [`Definition::from_json`]), with functions as expressions: its
    /// handlers must be given to the engine.
    ///
    /// ```
    /// let text = r#"{"name": "big", "version": "1", "start": "check", "nodes": [
    ///     {"name": "check", "kind": {"choice": {
    ///         "arms": [{"name": "big", "when": "=data.amount > 100", "to": "ask"}]}}},
    ///     {"name": "ask", "kind": {"step": {"handler": "ask"}}}
    /// ]}"#;
    /// let workflow = windlass::Workflow::<windlass::Json>::from_json(text)?;
    /// assert_eq!(workflow.definition().handlers(), ["ask"]);
    /// # Ok::<_, windlass::InvalidWorkflow>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidWorkflow`] with all problems.
    pub fn from_json(text: &str) -> Result<Self, InvalidWorkflow> {
        let definition = Definition::from_json(text)?;
        Ok(Self::from_parts(
            definition,
            Functions::new(),
            Handlers::new(),
        ))
    }

    /// The graph.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    pub(crate) fn untyped(&self) -> Workflow<Json> {
        Workflow {
            definition: Arc::clone(&self.definition),
            functions: self.functions.clone(),
            handlers: self.handlers.clone(),
            data: PhantomData,
        }
    }
}
