//! From the PATHs of a command line to the files they name, in one order on every machine.
//!
//! A PATH is a file, a directory (walked in name order, symbolic links followed, loops named),
//! a glob pattern, or `-`. What cannot be walked is a problem with a name, never a stop.

use std::fmt;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// One input to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputFile {
    /// Standard input, given as `-`.
    Stdin,
    File(PathBuf),
}

/// A path that gave nothing to read, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathProblem {
    pub path: String,
    pub problem: String,
    /// The user named this very path, it was not met on a walk.
    pub is_named_by_user: bool,
    /// Something may be missing from the input; false for a link that leads back.
    pub is_loss: bool,
}

/// What the PATHs came to.
#[derive(Clone, Debug, Default)]
pub struct Expanded {
    /// Sorted by path, each once.
    pub files: Vec<InputFile>,
    pub problems: Vec<PathProblem>,
}

impl InputFile {
    /// The path as text for messages and for the grouping into streams.
    pub fn name(&self) -> String {
        match self {
            InputFile::Stdin => "-".to_string(),
            InputFile::File(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// Bytes come when somebody writes them: a pipe, a socket, a terminal.
    pub fn is_live(&self) -> bool {
        match self {
            InputFile::Stdin => true,
            InputFile::File(path) => {
                std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
            }
        }
    }

    /// Bytes on disk; 0 where that cannot be known.
    pub fn disk_bytes(&self) -> u64 {
        match self {
            InputFile::Stdin => 0,
            InputFile::File(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        }
    }
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// Expands `paths`; nothing is opened but directories.
pub fn expand(paths: &[PathBuf]) -> Expanded {
    let mut expanded = Expanded::default();
    for path in paths {
        if path.as_os_str() == "-" {
            expanded.files.push(InputFile::Stdin);
        } else {
            expanded.add_path(path);
        }
    }
    expanded.files.sort();
    expanded.files.dedup();
    expanded
}

impl Expanded {
    fn add_path(&mut self, path: &Path) {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.add_directory(path),
            Ok(_) => self.files.push(InputFile::File(path.to_path_buf())),
            Err(_) if is_pattern(path) && std::fs::symlink_metadata(path).is_err() => {
                self.add_pattern(path);
            }
            Err(error) => self.add_problem(path, &error, true),
        }
    }

    fn add_directory(&mut self, root: &Path) {
        let walk = WalkDir::new(root).follow_links(true).sort_by_file_name();
        for entry in walk {
            match entry {
                Ok(entry) => self.add_entry(&entry),
                Err(error) => {
                    let path = error.path().unwrap_or(root);
                    let is_named_by_user = path == root;
                    match error.loop_ancestor() {
                        Some(ancestor) => {
                            let ancestor = ancestor.display();
                            let problem = format!("a loop: this link leads back to {ancestor}");
                            self.add_problem(path, &problem, false);
                            if let Some(last) = self.problems.last_mut() {
                                last.is_loss = false;
                            }
                        }
                        None => match error.io_error() {
                            Some(cause) => self.add_problem(path, cause, is_named_by_user),
                            None => self.add_problem(path, &error, is_named_by_user),
                        },
                    }
                }
            }
        }
    }

    fn add_entry(&mut self, entry: &DirEntry) {
        let kind = entry.file_type();
        if kind.is_dir() {
            return;
        }
        if kind.is_file() {
            self.files.push(InputFile::File(entry.path().to_path_buf()));
            return;
        }
        let problem = "neither a file nor a directory; name it directly to read it";
        self.add_problem(entry.path(), &problem, false);
    }

    fn add_pattern(&mut self, pattern: &Path) {
        let text = pattern.to_string_lossy();
        let matches = match glob::glob(&text) {
            Ok(matches) => matches,
            Err(error) => return self.add_problem(pattern, &error, true),
        };
        let mut found = false;
        for path in matches {
            found = true;
            match path {
                Ok(path) => self.add_path(&path),
                Err(error) => self.add_problem(error.path(), error.error(), false),
            }
        }
        if !found {
            self.add_problem(pattern, &"no file matches this pattern", true);
        }
    }

    fn add_problem(&mut self, path: &Path, problem: &dyn fmt::Display, is_named_by_user: bool) {
        self.problems.push(PathProblem {
            path: path.to_string_lossy().into_owned(),
            problem: problem.to_string(),
            is_named_by_user,
            is_loss: true,
        });
    }
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn check(root: &Path, arguments: &[&str], files: &[&str], problems: &[(&str, &str)]) {
        let paths: Vec<PathBuf> = arguments.iter().map(|path| root.join(path)).collect();
        let expanded = expand(&paths);
        let expected: Vec<InputFile> = files
            .iter()
            .map(|file| InputFile::File(root.join(file)))
            .collect();
        assert_eq!(expanded.files, expected);
        assert_eq!(
            expanded.problems.len(),
            problems.len(),
            "{:?}",
            expanded.problems
        );
        for (found, (path, words)) in expanded.problems.iter().zip(problems) {
            assert_eq!(found.path, root.join(path).to_string_lossy());
            assert!(found.problem.contains(words), "{found}");
        }
    }

    #[test]
    fn directories_files_and_patterns_come_out_in_path_order_and_once() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("b/x")).unwrap();
        for file in ["a.json", "b/x/2.gz", "b/1.gz", "c.json", "we[i]rd"] {
            fs::write(root.join(file), "").unwrap();
        }
        check(
            root,
            &["c.json", "b", "a*", "a.json", "we[i]rd"],
            &["a.json", "b/1.gz", "b/x/2.gz", "c.json", "we[i]rd"],
            &[],
        );
        check(
            root,
            &["none.json", "no*ne"],
            &[],
            &[("none.json", "No such file"), ("no*ne", "no file matches")],
        );
    }

    #[test]
    #[cfg(unix)]
    fn loops_and_dead_links_are_named_and_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/1"), "").unwrap();
        std::os::unix::fs::symlink(root.join("d"), root.join("d/again")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("d/dead")).unwrap();
        let problems = [("d/again", "a loop"), ("d/dead", "No such file")];
        check(root, &["d"], &["d/1"], &problems);
    }
}
