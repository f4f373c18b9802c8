//! The languages that have a template and a way to a component.

use std::fmt;
use std::str::FromStr;

/// A language that plugins can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, over the SDK.
    Rust,
    /// C, over wit-bindgen's bindings.
    C,
    /// C++, over the C bindings.
    Cpp,
    /// JavaScript, in QuickJS.
    JavaScript,
    /// TypeScript, bundled and run as JavaScript.
    TypeScript,
    /// Python, in CPython.
    Python,
    /// Go.
    Go,
    /// Zig, over the C bindings.
    Zig,
    /// AssemblyScript, with values laid out by hand.
    AssemblyScript,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rust,
        Self::C,
        Self::Cpp,
        Self::JavaScript,
        Self::TypeScript,
        Self::Python,
        Self::Go,
        Self::Zig,
        Self::AssemblyScript,
    ];

    /// Its word on the command line: `c`, `cpp`, `js`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::JavaScript => "js",
            Self::TypeScript => "ts",
            Self::Python => "python",
            Self::Go => "go",
            Self::Zig => "zig",
            Self::AssemblyScript => "as",
        }
    }

    /// Its name in a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Cpp => "C++",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::Zig => "Zig",
            Self::AssemblyScript => "AssemblyScript",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|language| language.word() == word);
        found.ok_or_else(|| format!("the languages are {}", Self::ALL.map(Self::word).join(", ")))
    }
}
