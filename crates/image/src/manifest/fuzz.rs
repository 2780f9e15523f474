//! The door for fuzzers: any bytes, read as everything they could be.

use ross_types::{Digest, Platform};

use super::{Document, ImageConfig, Manifest, choose, parse};

/// Reads `data` as a manifest, an index and a configuration. Must come back, whatever the bytes.
pub fn fuzz(data: &[u8]) {
    for label in [None, Some("application/vnd.oci.image.index.v1+json"), std::str::from_utf8(data).ok()] {
        match parse(data, label) {
            Ok(Document::Index(entries)) => {
                drop(choose(&Digest::sha256([0; 32]), &entries, &Platform::host()))
            }
            Ok(Document::Manifest(manifest)) => check_written(&manifest),
            Err(_) => {}
        }
    }
    if let Ok(config) = ImageConfig::parse(data) {
        let _ = config.platform();
    }
}

/// What ross writes of a manifest, it reads as the same manifest.
fn check_written(manifest: &Manifest) {
    let again = parse(&manifest.to_json(), None);
    assert_eq!(again.ok(), Some(Document::Manifest(manifest.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEED: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "config":{"mediaType":"","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":2},
        "layers":[],"manifests":null,"os":"linux","architecture":"arm","variant":"v8","config":{"Env":["a=b"]},
        "rootfs":{"type":"layers","diff_ids":[]},"history":[{"empty_layer":true}]}"#;

    proptest! {
        #[test]
        fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..512)) {
            fuzz(&data);
        }

        #[test]
        fn nearly_right(at in 0..SEED.len(), byte in any::<u8>(), cut in 0..SEED.len()) {
            let mut data = SEED.as_bytes().to_vec();
            data[at] = byte;
            fuzz(&data);
            data.truncate(cut);
            fuzz(&data);
            fuzz(SEED.replace(r#","config":{"Env":["a=b"]}"#, "").as_bytes());
            fuzz(SEED.replacen(r#""config":{"mediaType""#, r#""config2":{"mediaType""#, 1).as_bytes());
        }
    }
}
