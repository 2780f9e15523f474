//! Image commands: names with separate tags, list filters, build options.

use ross_api::v1::{BuildOptions, Filter, ListImagesRequest};
use ross_types::ImageRef;

use crate::args::{BuildArgs, ImageListArgs};
use crate::failure::Failure;
use crate::value::{BadValue, pair};

/// `name`, with `tag` appended when one was given apart; checked, but left as typed.
pub fn pull_reference(name: &str, tag: Option<&str>) -> Result<String, Failure> {
    let parse = |text: &str| text.parse::<ImageRef>().map_err(|error| Failure::Usage(error.to_string()));
    parse(name)?;
    let Some(tag) = tag else { return Ok(name.to_owned()) };
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    if name[last..].contains([':', '@']) {
        let reason = format!("`{name}` has a tag or digest already");
        return Err(BadValue::new("--tag", tag, reason).into());
    }
    let full = format!("{name}:{tag}");
    parse(&full)?;
    Ok(full)
}

/// The name of an image that is to be made, checked; empty when it gets none.
pub fn image_name(name: Option<&str>) -> Result<String, Failure> {
    let Some(name) = name else { return Ok(String::new()) };
    let reference: ImageRef = name.parse().map_err(|error| Failure::Usage(format!("{error}")))?;
    if reference.digest().is_some() {
        let text = format!(
            "`{name}` has a digest, which only its content decides: give a name with or without a tag"
        );
        return Err(Failure::Usage(text));
    }
    Ok(name.to_owned())
}

/// The request for a list of images.
pub fn list(args: &ImageListArgs) -> Result<ListImagesRequest, Failure> {
    let mut filters = pair::filters(&args.filters)?;
    if let Some(reference) = &args.reference {
        filters.push(Filter { key: "reference".to_owned(), values: vec![reference.clone()] });
    }
    Ok(ListImagesRequest { all: args.all, filters })
}

/// The options of a build.
pub fn build(args: &BuildArgs) -> Result<BuildOptions, Failure> {
    Ok(BuildOptions {
        tags: args.tags.clone(),
        dockerfile: args.dockerfile.clone().unwrap_or_default(),
        build_args: pair::map("--build-arg", &args.build_args, pair::label)?,
        target: args.target.clone().unwrap_or_default(),
        no_cache: args.no_cache,
        pull: args.pull,
        platforms: args.platforms.clone(),
        labels: pair::map("--label", &args.labels, pair::label)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_to_be() {
        let check = |name: Option<&str>, expected: Option<&str>| {
            assert_eq!(image_name(name).ok().as_deref(), expected, "{name:?}");
        };
        check(None, Some(""));
        check(Some("a/b:1"), Some("a/b:1"));
        check(Some("A"), None);
        check(Some(&format!("a@sha256:{}", "ab".repeat(32))), None);
    }

    #[test]
    fn references() {
        let check = |name: &str, tag: Option<&str>, expected: Option<&str>| {
            assert_eq!(pull_reference(name, tag).ok().as_deref(), expected, "{name} {tag:?}");
        };
        check("alpine", None, Some("alpine"));
        check("alpine", Some("3"), Some("alpine:3"));
        check("127.0.0.1:5000/a/b", Some("x"), Some("127.0.0.1:5000/a/b:x"));
        check("alpine:3", Some("4"), None);
        check("alpine", Some("-x"), None);
        check("Alpine", None, None);
        check("http://x/y", None, None);
    }
}
