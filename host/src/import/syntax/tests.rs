use std::fs;
use std::path::{Path, PathBuf};

use super::{Directive, Parser};

/// The tree in one line, and the problems.
fn parse(text: &str) -> (String, Vec<String>) {
    let mut parser = Parser::new(Path::new("/nowhere"));
    let tree = parser.text(text, "t");
    (shown(&tree), parser.into_problems().iter().map(ToString::to_string).collect())
}

fn shown(tree: &[Directive]) -> String {
    let one = |directive: &Directive| {
        let words: Vec<String> =
            std::iter::once(&directive.name).chain(&directive.args).map(|word| format!("<{}>", word.text)).collect();
        let block = directive.block.as_ref().map_or(String::new(), |block| format!("{{{}}}", shown(block)));
        words.join("") + &block
    };
    tree.iter().map(one).collect::<Vec<_>>().join(" ")
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-import-{}-{name}", std::process::id()));
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn parse(&self, file: &str) -> (String, Vec<String>) {
        let mut parser = Parser::new(&self.0);
        let tree = parser.file(&self.0.join(file));
        let folder = format!("{}/", self.0.display());
        let problems = parser.into_problems();
        (shown(&tree), problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn words_are_nginxs() {
    for (text, expected) in [
        ("a b;", "<a><b>"),
        ("a 'b c' \"d;{}\";", "<a><b c><d;{}>"),
        ("a ${b}c $d;", "<a><${b}c><$d>"),
        ("a # b\n c;# d", "<a><c>"),
        (r#"a "x\"y\\z\tq\d" 'it\'s' p\ q;"#, "<a><x\"y\\z\tq\\d><it's><p\\ q>"),
        ("a b#c;", "<a><b#c>"),
        ("a{b;c{}}", "<a>{<b> <c>{}}"),
        ("if ($a = \"b\") { }", "<if><($a><=><b><)>{}"),
        ("'' close;", "<><close>"),
        ("\u{feff}a;", "<a>"),
        ("a b}c;", "<a><b}c>"),
        ("a é;", "<a><é>"),
    ] {
        let (tree, problems) = parse(text);
        assert_eq!((tree.as_str(), problems), (expected, Vec::new()), "{text}");
    }
}

#[test]
fn what_is_not_in_the_grammar_says_where() {
    for (text, expected) in [
        ("a", "t:1:1: unexpected end of file (close the directive with `;` or give it a `{ … }`)"),
        ("a;\n  ;", "t:2:3: unexpected `;`"),
        ("{", "t:1:1: unexpected `{`"),
        ("a { b", "t:1:5: unexpected end of file (close the directive with `;` or give it a `{ … }`)"),
        ("a { b; ", "t:1:1: the block of `a` is not closed"),
        ("a; }", "t:1:5: unexpected `}` (a `}` too many, or a `{` that is missing before)"),
        ("a {\n b }", "t:2:4: unexpected `}` (a `;` is missing before it)"),
        ("a 'b", "t:1:3: the quote `'` is not closed"),
        ("a 'b'c;", "t:1:6: unexpected `c` after a closing quote"),
        ("a \u{fffd};", "t:1:3: has bytes that are not UTF-8 (save the file as UTF-8)"),
    ] {
        assert_eq!(parse(text).1, [expected], "{text}");
    }
    assert!(parse(&"a{".repeat(100_000)).1[0].contains("more than 64 blocks"));
    assert!(parse(&format!("a {};", "b".repeat(70_000))).1[0].contains("too long"));
}

#[test]
fn lua_is_passed_over() {
    assert_eq!(
        parse("a { b_by_lua_block { if x then y = {1,\"}\"} end -- } it\n } c; }").0,
        "<a>{<b_by_lua_block>{} <c>}"
    );
}

#[test]
fn files_are_included() {
    let folder = Folder::new(
        "included",
        &[
            ("nginx.conf", "include conf.d/*.conf; http { include other; map $a $b { include map.inc; } }"),
            ("conf.d/b.conf", "b;"),
            ("conf.d/a.conf", "a;"),
            ("conf.d/.hidden.conf", "hidden;"),
            ("conf.d/c.conf.bak", "c;"),
            ("other", "include none/*.conf;\nserver { }"),
            ("map.inc", "x y;"),
        ],
    );
    let (tree, problems) = folder.parse("nginx.conf");
    assert_eq!((tree.as_str(), problems), ("<a> <b> <http>{<server>{} <map><$a><$b>{<x><y>}}", Vec::new()));
}

#[test]
fn includes_that_lead_nowhere_or_back_are_told() {
    let folder =
        Folder::new("circles", &[("nginx.conf", "a;\ninclude b;"), ("b", "\n include nginx.conf; include none;")]);
    let (_, problems) = folder.parse("nginx.conf");
    assert_eq!(
        problems,
        [
            "b:2:10: include: nginx.conf includes itself (take the line out that leads back to it)",
            "b:2:30: include: none cannot be read: No such file or directory (os error 2)",
        ]
    );
    let (_, problems) = folder.parse("missing");
    assert_eq!(problems, ["missing: include: missing cannot be read: No such file or directory (os error 2)"]);
}

/// Numbers by chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % most
    }
}

#[test]
fn nothing_that_comes_makes_it_stop() {
    const PIECES: &[&str] = &[
        "server",
        " ",
        "{",
        "}",
        ";",
        "\"",
        "'",
        "\\",
        "$",
        "${",
        "#",
        "\n",
        "(",
        ")",
        "location",
        "~",
        "é",
        "\u{0}",
        "include",
        " a ",
        "if",
        "*",
        "[",
        "\t",
        "_by_lua_block",
        "http",
        "\u{fffd}",
    ];
    let mut chance = Chance(42);
    for _ in 0..20_000 {
        let length = chance.below(40);
        let text: String = (0..length).map(|_| PIECES[chance.below(PIECES.len())]).collect();
        let (first, second) = (parse(&text), parse(&text));
        assert_eq!(first, second, "{text:?}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mut chance = Chance(7);
    for _ in 0..2_000 {
        let words: Vec<String> = (0..=chance.below(4))
            .map(|_| {
                (0..chance.below(8))
                    .map(|_| ['a', ' ', '"', '\'', '\\', ';', '{', '}', '#', '$', 'é'][chance.below(11)])
                    .collect()
            })
            .collect();
        let written: Vec<String> = words
            .iter()
            .map(|word: &String| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")))
            .collect();
        let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
        let (tree, problems) = parse(&format!("{};", written.join(" ")));
        assert_eq!((tree, problems), (expected, Vec::new()), "{written:?}");
    }
}
