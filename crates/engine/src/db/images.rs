//! Tables `images` and `image_tags`, for ross-image. Durable before a call returns: a pull that was reported stays.

use std::collections::HashMap;

use ross_image::{ImageRecord, ImageRecords, RecordsError};
use ross_types::{Digest, ImageRef};

use super::{Db, DbError, Durability, unreadable};

fn failed(operation: &'static str) -> impl FnOnce(DbError) -> RecordsError {
    move |error| RecordsError::new(operation, error.kind(), crate::EngineError::from(error))
}

impl ImageRecords for Db {
    fn put_image(&self, image: &ImageRecord) -> Result<(), RecordsError> {
        self.write("put an image", Durability::Full, |transaction| {
            // References live in their own table, which alone says where they lead.
            let record = ImageRecord { references: Vec::new(), ..image.clone() };
            let sql = "INSERT INTO images (id, record) VALUES (?1, ?2) \
                 ON CONFLICT (id) DO UPDATE SET record = excluded.record";
            let json = serde_json::to_string(&record).map_err(unreadable)?;
            transaction.execute(sql, [&image.id.to_string(), &json])?;
            Ok(())
        })
        .map_err(failed("put an image"))
    }

    fn set_tag(&self, reference: &ImageRef, id: &Digest, manifest: &Digest) -> Result<(), RecordsError> {
        self.write("set a tag", Durability::Full, |transaction| {
            let sql = "INSERT INTO image_tags (reference, image, manifest) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (reference) DO UPDATE SET image = excluded.image, manifest = excluded.manifest";
            transaction.execute(sql, [reference.to_string(), id.to_string(), manifest.to_string()])?;
            Ok(())
        })
        .map_err(failed("set a tag"))
    }

    fn remove_tag(&self, reference: &ImageRef) -> Result<bool, RecordsError> {
        self.write_removal("remove a tag", Durability::Full, |transaction| {
            let sql = "DELETE FROM image_tags WHERE reference = ?1";
            Ok(transaction.execute(sql, [reference.to_string()])? > 0)
        })
        .map_err(failed("remove a tag"))
    }

    fn remove_image(&self, id: &Digest) -> Result<(), RecordsError> {
        self.write_removal("remove an image", Durability::Full, |transaction| {
            transaction.execute("DELETE FROM images WHERE id = ?1", [id.to_string()])?;
            Ok(())
        })
        .map_err(failed("remove an image"))
    }

    fn images(&self) -> Result<Vec<ImageRecord>, RecordsError> {
        self.read("read the images", |connection| {
            let mut references: HashMap<String, Vec<ImageRef>> = HashMap::new();
            let mut statement =
                connection.prepare_cached("SELECT image, reference FROM image_tags ORDER BY reference")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let reference = row.get::<_, String>(1)?.parse().map_err(unreadable)?;
                references.entry(row.get(0)?).or_default().push(reference);
            }
            let mut statement = connection.prepare_cached("SELECT id, record FROM images")?;
            let mut rows = statement.query([])?;
            let mut images = Vec::new();
            while let Some(row) = rows.next()? {
                let mut image: ImageRecord =
                    serde_json::from_str(&row.get::<_, String>(1)?).map_err(unreadable)?;
                image.references = references.remove(&row.get::<_, String>(0)?).unwrap_or_default();
                images.push(image);
            }
            Ok(images)
        })
        .map_err(failed("read the images"))
    }
}

#[cfg(test)]
mod tests {
    use ross_types::{ChainId, DiffId, Platform};

    use super::*;

    fn image(id: u8) -> ImageRecord {
        let digest = Digest::sha256([id; 32]);
        ImageRecord {
            id: digest.clone(),
            manifest: digest.clone(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            platform: Platform::host(),
            layers: vec![ross_image::LayerRecord {
                diff_id: DiffId(digest.clone()),
                chain_id: ChainId(digest.clone()),
                blob: digest.clone(),
                size: 3,
                key: digest.hex().into(),
            }],
            size: 10,
            created: None,
            pulled_at: 1,
            references: Vec::new(),
        }
    }

    #[test]
    fn tags_lead_to_one_image() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("ross.db")).unwrap();
        let (one, two) = (image(1), image(2));
        let tag: ImageRef = "busybox:1".parse().unwrap();
        assert!(db.set_tag(&tag, &one.id, &one.manifest).is_err(), "the image is not there");
        db.put_image(&one).unwrap();
        db.put_image(&two).unwrap();
        db.set_tag(&tag, &one.id, &one.manifest).unwrap();
        db.put_image(&one).unwrap();
        db.set_tag(&tag, &two.id, &two.manifest).unwrap();
        let names = |db: &Db| -> Vec<(Digest, usize)> {
            db.images().unwrap().into_iter().map(|image| (image.id, image.references.len())).collect()
        };
        assert_eq!(names(&db), [(one.id.clone(), 0), (two.id.clone(), 1)]);
        db.remove_image(&two.id).unwrap();
        db.remove_image(&two.id).unwrap();
        assert!(!db.remove_tag(&tag).unwrap(), "it went with its image");
        assert_eq!(names(&db), [(one.id, 0)]);
    }
}
