//! Image records in memory, and in a file.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ross_image::{ImageRecord, ImageRecords, RecordsError};
use ross_types::{Digest, ErrorKind, ImageRef};

#[derive(Debug, Default)]
pub struct MemoryRecords {
    images: Mutex<Vec<ImageRecord>>,
    /// An image whose record cannot be removed.
    pub stuck: Mutex<Option<Digest>>,
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
        if self.stuck.lock().unwrap().as_ref() == Some(id) {
            return Err(RecordsError::new("remove an image", ErrorKind::ResourceExhausted, "it is stuck"));
        }
        self.images.lock().unwrap().retain(|image| image.id != *id);
        Ok(())
    }

    fn images(&self) -> Result<Vec<ImageRecord>, RecordsError> {
        Ok(self.images.lock().unwrap().clone())
    }
}

/// Records that outlive their process: a file, replaced as a whole by each change.
#[derive(Debug)]
pub struct FileRecords {
    path: PathBuf,
    memory: MemoryRecords,
}

impl FileRecords {
    pub fn open(path: &Path) -> Self {
        let images = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
            Err(_) => Vec::new(),
        };
        Self {
            path: path.to_owned(),
            memory: MemoryRecords { images: Mutex::new(images), ..MemoryRecords::default() },
        }
    }

    fn save(&self) -> Result<(), RecordsError> {
        let staged = self.path.with_extension("new");
        let json = serde_json::to_vec(&*self.memory.images.lock().unwrap()).unwrap();
        let synced = |path: &Path| std::fs::File::open(path).and_then(|file| file.sync_all());
        std::fs::write(&staged, json)
            .and_then(|()| synced(&staged))
            .and_then(|()| std::fs::rename(&staged, &self.path))
            .and_then(|()| synced(self.path.parent().expect("it is in a folder")))
            .map_err(|error| RecordsError::new("save", ErrorKind::Internal, error))
    }
}

impl ImageRecords for FileRecords {
    fn put_image(&self, image: &ImageRecord) -> Result<(), RecordsError> {
        self.memory.put_image(image)?;
        self.save()
    }

    fn set_tag(&self, reference: &ImageRef, id: &Digest, manifest: &Digest) -> Result<(), RecordsError> {
        self.memory.set_tag(reference, id, manifest)?;
        self.save()
    }

    fn remove_tag(&self, reference: &ImageRef) -> Result<bool, RecordsError> {
        let removed = self.memory.remove_tag(reference)?;
        self.save()?;
        Ok(removed)
    }

    fn remove_image(&self, id: &Digest) -> Result<(), RecordsError> {
        self.memory.remove_image(id)?;
        self.save()
    }

    fn images(&self) -> Result<Vec<ImageRecord>, RecordsError> {
        self.memory.images()
    }
}
