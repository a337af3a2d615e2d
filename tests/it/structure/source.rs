//! Reads which file of `src` uses which other: `use` trees, paths in expressions and types, with what a module
//! re-exports followed to the file that defines it. Code of unit tests (`#[cfg(test)]`) is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Where a module stands below the crate's root: `["store", "merge"]`.
type Module = Vec<String>;

/// What one module holds. Modules that stand inside a file in braces are read as part of that file.
#[derive(Default)]
struct Room {
    file: String,
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    /// Public names and the paths that they stand for.
    exports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// All paths that the file names, from the crate's root on.
    paths: BTreeSet<Vec<String>>,
}

/// The files of `src`, and what each one uses.
pub struct Files {
    rooms: BTreeMap<Module, Room>,
}

impl Files {
    /// Follows the `mod` declarations from `lib.rs` on, and reads `main.rs` beside it.
    pub fn read(src: &Path) -> Self {
        let mut files = Self { rooms: BTreeMap::new() };
        files.read_module(src, &src.join("lib.rs"), Vec::new());
        files.read_module(src, &src.join("main.rs"), vec!["main".to_owned()]);
        files
    }

    /// The files, relative to `src`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rooms.values().map(|room| room.file.as_str())
    }

    /// Who uses whom, by the names of the files.
    pub fn edges(&self) -> BTreeSet<(String, String)> {
        let mut edges = BTreeSet::new();
        for room in self.rooms.values() {
            for path in &room.paths {
                let to = &self.rooms[&self.resolve(path, 0)].file;
                if *to != room.file && to != "lib.rs" {
                    edges.insert((room.file.clone(), to.clone()));
                }
            }
        }
        edges
    }

    fn read_module(&mut self, src: &Path, path: &Path, module: Module) {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tokens =
            TokenStream::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut room =
            Room { file: path.strip_prefix(src).unwrap().display().to_string(), ..Room::default() };
        room.declare(&tokens);
        room.walk(&tokens, &module);
        let children = room.children.clone();
        let binary = module == ["main"];
        self.rooms.insert(module.clone(), room);
        if binary {
            return;
        }
        let folder = match path.file_name().and_then(|name| name.to_str()) {
            Some("lib.rs" | "mod.rs") => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        for child in children {
            let flat = folder.join(format!("{child}.rs"));
            let nested = folder.join(&child).join("mod.rs");
            let mut below = module.clone();
            below.push(child);
            self.read_module(src, if flat.exists() { &flat } else { &nested }, below);
        }
    }

    /// The module that defines what a path names.
    fn resolve(&self, path: &[String], depth: usize) -> Module {
        let mut module = Module::new();
        for (at, name) in path.iter().enumerate() {
            let room = &self.rooms[&module];
            if room.children.contains(name) {
                module.push(name.clone());
            } else if let Some(target) = room.exports.get(name).filter(|_| depth < 8) {
                let whole: Vec<_> = target.iter().chain(&path[at + 1..]).cloned().collect();
                return self.resolve(&whole, depth + 1);
            } else if let Some(found) = self.through_globs(room, &path[at..], depth) {
                return found;
            } else {
                break;
            }
        }
        module
    }

    fn through_globs(&self, room: &Room, rest: &[String], depth: usize) -> Option<Module> {
        if depth >= 8 || room.items.contains(&rest[0]) {
            return None;
        }
        room.globs.iter().find_map(|glob| {
            let there = &self.rooms[&self.resolve(glob, depth + 1)];
            let has = there.items.contains(&rest[0]) || there.exports.contains_key(&rest[0]);
            let whole: Vec<_> = glob.iter().chain(rest).cloned().collect();
            has.then(|| self.resolve(&whole, depth + 1))
        })
    }
}

impl Room {
    /// Notes the modules and items that the file declares at its top.
    fn declare(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            if is_test_only(tokens, at) {
                at = end_of_item(tokens, at + 2);
                continue;
            }
            if let (Some(keyword), Some(name)) = (ident(tokens, at), ident(tokens, at + 1)) {
                match keyword.as_str() {
                    "mod" if punct(tokens, at + 2, ';') => drop(self.children.insert(name)),
                    "mod" | "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                        self.items.insert(name);
                    }
                    _ => {}
                }
            }
            at += 1;
        }
    }

    /// Notes every path, in braces too.
    fn walk(&mut self, tokens: &[TokenTree], module: &[String]) {
        let mut at = 0;
        while at < tokens.len() {
            if is_test_only(tokens, at) {
                at = end_of_item(tokens, at + 2);
            } else if ident(tokens, at).is_some_and(|it| it == "use") {
                let end = end_of_item(tokens, at);
                let public = at > 0 && is_public(&tokens[..at]);
                self.read_use(&tokens[at + 1..end.saturating_sub(1)], &[], module, public);
                at = end;
            } else if ident(tokens, at).is_some_and(|it| it == "pub")
                && is_group(tokens, at + 1, Delimiter::Parenthesis)
            {
                // Who may see it is no use of anything.
                at += 2;
            } else if let TokenTree::Group(group) = &tokens[at] {
                let inner: Vec<_> = group.stream().into_iter().collect();
                self.walk(&inner, module);
                at += 1;
            } else {
                let (path, end) = path_at(tokens, at);
                if path.len() > 1 {
                    self.note(&path, module);
                }
                at = end.max(at + 1);
            }
        }
    }

    /// One `use` tree. `before` is the path that leads to it.
    fn read_use(&mut self, tokens: &[TokenTree], before: &[String], module: &[String], public: bool) {
        let (path, end) = path_at(tokens, 0);
        let whole: Vec<_> = before.iter().chain(&path).cloned().collect();
        match tokens.get(end) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                for part in inner.split(|it| matches!(it, TokenTree::Punct(p) if p.as_char() == ',')) {
                    if !part.is_empty() {
                        self.read_use(part, &whole, module, public);
                    }
                }
            }
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                self.export(None, &whole, module, public)
            }
            Some(_) if ident(tokens, end).is_some_and(|it| it == "as") => {
                self.export(ident(tokens, end + 1), &whole, module, public);
            }
            _ => {
                let name = whole.iter().rev().find(|it| *it != "self").cloned();
                self.export(name, &whole, module, public);
            }
        }
    }

    /// A name that `use` brings in. What a module hands on from below itself is its door, not something it uses.
    fn export(&mut self, name: Option<String>, path: &[String], module: &[String], public: bool) {
        let Some(path) = self.absolute(path, module) else { return };
        if public {
            match name {
                Some(name) => drop(self.exports.insert(name, path.clone())),
                None => self.globs.push(path.clone()),
            }
        }
        let below = path.len() > module.len() && path.starts_with(module);
        if !(public && below) {
            self.paths.insert(path);
        }
    }

    fn note(&mut self, path: &[String], module: &[String]) {
        if let Some(path) = self.absolute(path, module) {
            self.paths.insert(path);
        }
    }

    /// The path from the crate's root on; nothing for other crates and for what is local.
    fn absolute(&self, path: &[String], module: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut rest = rest;
        let mut whole = match first.as_str() {
            "crate" | "backfill" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            name if self.children.contains(name) => module.iter().chain([first]).cloned().collect(),
            _ => return None,
        };
        while let Some((next, more)) =
            rest.split_first().filter(|(next, _)| *next == "super" || *next == "self")
        {
            if next == "super" {
                whole.pop();
            }
            rest = more;
        }
        whole.extend(rest.iter().cloned());
        Some(whole)
    }
}

/// The path that begins at a token (`a::b::c`), and where it ends. A `::` before a brace or a star belongs to it.
fn path_at(tokens: &[TokenTree], start: usize) -> (Vec<String>, usize) {
    let (mut path, mut at) = (Vec::new(), start);
    while let Some(name) = ident(tokens, at) {
        if name == "as" {
            break;
        }
        path.push(name);
        if !(punct(tokens, at + 1, ':') && punct(tokens, at + 2, ':')) {
            return (path, at + 1);
        }
        at += 3;
    }
    (path, at)
}

fn ident(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at)? {
        TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    }
}

fn punct(tokens: &[TokenTree], at: usize, sign: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn is_group(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Group(group)) if group.delimiter() == delimiter)
}

/// Whether `#[cfg(test)]` (also with more conditions) stands here.
fn is_test_only(tokens: &[TokenTree], at: usize) -> bool {
    let Some(TokenTree::Group(attribute)) = tokens.get(at + 1) else { return false };
    if !punct(tokens, at, '#') || attribute.delimiter() != Delimiter::Bracket {
        return false;
    }
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test")
}

/// Behind the item that begins here: its `;` or its braces.
fn end_of_item(tokens: &[TokenTree], start: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    let import = ident(tokens, start).is_some_and(|it| it == "use");
    let end = tokens[start..].iter().position(|it| if import { is_semicolon(it) } else { ends(it) });
    end.map_or(tokens.len(), |end| start + end + 1)
}

fn is_semicolon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';')
}

/// Whether `pub` or `pub(…)` stands at the end.
fn is_public(before: &[TokenTree]) -> bool {
    match before.last() {
        Some(TokenTree::Ident(word)) => word == "pub",
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            before.len() > 1 && ident(before, before.len() - 2).is_some_and(|it| it == "pub")
        }
        _ => false,
    }
}

/// The Rust files below a folder.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files
}

/// The functions of a file with more lines than that between their braces, as `file:line: name, lines`.
pub fn long_functions(path: &Path, most: usize) -> Vec<String> {
    let tokens: TokenStream = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let mut found = Vec::new();
    functions(tokens, &mut |name, line, lines| {
        if lines > most {
            found.push(format!("{}:{line}: {name}, {lines} lines", path.display()));
        }
    });
    found
}

fn functions(tokens: TokenStream, tell: &mut impl FnMut(&str, usize, usize)) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            functions(group.stream(), tell);
        }
        let (Some(keyword), Some(name)) = (ident(&tokens, at), ident(&tokens, at + 1)) else { continue };
        let body = &tokens[at + 2..end_of_item(&tokens, at + 2)];
        if let (true, Some(TokenTree::Group(body))) = (keyword == "fn", body.last()) {
            let (begin, end) = (token.span().start().line, body.span_close().end().line);
            tell(&name, begin, end + 1 - begin);
        }
    }
}
