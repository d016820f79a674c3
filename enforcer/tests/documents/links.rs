//! Whether what a document links to is there.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::{documents, root};

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for (document, text) in documents() {
        for (event, range) in Parser::new(&text).into_offset_iter() {
            let Event::Start(Tag::Link { dest_url: link, .. }) = event else { continue };
            if link.contains("://") {
                continue;
            }
            count += 1;
            let (path, heading) = link.split_once('#').map_or((&*link, None), |(path, heading)| (path, Some(heading)));
            let file = if path.is_empty() { root().join(&document) } else { root().join(&document).parent().unwrap().join(path) };
            let is_there =
                file.exists() && heading.is_none_or(|heading| headings(&std::fs::read_to_string(&file).unwrap()).any(|there| there == heading));
            if !is_there {
                broken.push(format!("{document}:{}: {link}", text[..range.start].matches('\n').count() + 1));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    assert!(count > 30, "{count} links were found");
}

/// The names by which GitHub lets links lead to headings.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut is_heading = false;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                is_heading = true;
                found.push(String::new());
            }
            Event::End(TagEnd::Heading(_)) => is_heading = false,
            Event::Text(words) | Event::Code(words) if is_heading => found.last_mut().unwrap().push_str(&words),
            _ => {}
        }
    }
    let name = |heading: String| {
        let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
        kept.map(|character| if character == ' ' { '-' } else { character }).collect::<String>().to_lowercase()
    };
    found.into_iter().map(name)
}
