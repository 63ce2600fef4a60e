//! Several layouts looked up as one.

use std::path::Path;

use super::{Error, Image, Layout, Result, canonical};

/// Layouts and archives, searched in the order in which they were added.
#[derive(Debug, Default)]
pub struct ImageSource {
    layouts: Vec<Layout>,
}

impl ImageSource {
    /// Opens layout folders, tars of them and docker-archives.
    ///
    /// # Errors
    /// Those of [`Layout::open`].
    pub fn open<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self> {
        let layouts = paths.into_iter().map(Layout::open).collect::<Result<_>>()?;
        Ok(Self { layouts })
    }

    /// Adds a layout behind those already there.
    pub fn add(&mut self, layout: Layout) {
        self.layouts.push(layout);
    }

    /// All references, sorted and without duplicates.
    pub fn references(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .layouts
            .iter()
            .flat_map(Layout::references)
            .map(str::to_owned)
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether some layout has an image of this canonical reference, for any platform.
    pub fn has(&self, reference: &str) -> bool {
        self.layouts.iter().any(|layout| layout.has(reference))
    }

    /// The image for this architecture that `reference` (any spelling) names, and its layout.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the names that there are, and those of [`Layout::find`].
    pub fn find(&self, reference: &str) -> Result<(Image, &Layout)> {
        let reference = canonical(reference)?;
        for layout in &self.layouts {
            if let Some(image) = layout.find(&reference)? {
                return Ok((image, layout));
            }
        }
        Err(Error::NotFound {
            reference,
            known: self.references(),
        })
    }
}
