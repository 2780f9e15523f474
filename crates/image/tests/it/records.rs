//! Image records in memory.

use std::sync::Mutex;

use ross_image::{ImageRecord, ImageRecords, RecordsError};
use ross_types::{Digest, ErrorKind, ImageRef};

#[derive(Debug, Default)]
pub struct MemoryRecords {
    images: Mutex<Vec<ImageRecord>>,
}

impl ImageRecords for MemoryRecords {
    fn put_image(&self, image: &ImageRecord) -> Result<(), RecordsError> {
        let mut images = self.images.lock().unwrap();
        let references =
            images.iter().find(|known| known.id == image.id).map(|known| known.references.clone());
        images.retain(|known| known.id != image.id);
        images.push(ImageRecord { references: references.unwrap_or_default(), ..image.clone() });
        Ok(())
    }

    fn set_tag(&self, reference: &ImageRef, id: &Digest, _manifest: &Digest) -> Result<(), RecordsError> {
        self.remove_tag(reference)?;
        let mut images = self.images.lock().unwrap();
        let image = images.iter_mut().find(|image| image.id == *id);
        let image =
            image.ok_or_else(|| RecordsError::new("set a tag", ErrorKind::NotFound, "no such image"))?;
        image.references.push(reference.clone());
        Ok(())
    }

    fn remove_tag(&self, reference: &ImageRef) -> Result<bool, RecordsError> {
        let mut found = false;
        for image in self.images.lock().unwrap().iter_mut() {
            let before = image.references.len();
            image.references.retain(|own| own != reference);
            found |= image.references.len() != before;
        }
        Ok(found)
    }

    fn remove_image(&self, id: &Digest) -> Result<(), RecordsError> {
        self.images.lock().unwrap().retain(|image| image.id != *id);
        Ok(())
    }

    fn images(&self) -> Result<Vec<ImageRecord>, RecordsError> {
        Ok(self.images.lock().unwrap().clone())
    }
}
