//! Bindings of the contract, for languages whose own tools make none: those of all of it are embedded, and what a
//! project's world has not is left out.

use std::fmt::Write as _;
use std::fs;

use wit_parser::{Resolve, WorldId, WorldItem};

use crate::component::World;
use crate::error::{Error, Result};
use crate::project::{Project, write};
use crate::{Language, embedded, typescript};

/// The world that every project names.
pub(crate) const WORLD: &str = "plugin";

/// The world `plugin` of `wit/`.
///
/// # Errors
/// [`Error::Contract`]: what is wrong, with file and line.
pub(crate) fn world(project: &Project) -> Result<World> {
    let mut resolve = Resolve::default();
    let package = match resolve.push_dir(project.path("wit")) {
        Ok((package, _)) => package,
        Err(error) => return Err(Error::Contract(resolve.render_error(&error))),
    };
    match resolve.select_world(&[package], Some(WORLD)) {
        Ok(world) => Ok(World { resolve, world }),
        Err(error) => Err(Error::Contract(resolve.render_error(&error))),
    }
}

/// The hooks of a world: names of interfaces.
fn hooks(world: &World) -> Vec<&str> {
    let exports = world.resolve.worlds.get(world.world).into_iter().flat_map(|world| world.exports.values());
    let name = |item: &WorldItem| match item {
        WorldItem::Interface { id, .. } => world.resolve.interfaces.get(*id)?.name.as_deref(),
        _ => None,
    };
    exports.filter_map(name).collect()
}

/// `build/plugin.h`, `plugin.c`, and `absent.c` with what the first calls of hooks that the world has not; gives
/// the world.
///
/// # Errors
/// [`Error::Contract`], [`Error::Io`].
pub(crate) fn c(project: &Project) -> Result<World> {
    let world = world(project)?;
    let scratch = project.scratch()?;
    let mut absent = String::from(
        "// What build/plugin.c calls and this plugin does not have.\n#include \"plugin.h\"\n\n\
         void __component_type_object_force_link_plugin(void);\n\
         void __component_type_object_force_link_plugin(void) {}\n",
    );
    for (name, text) in embedded::below("bindings/c") {
        match name.strip_prefix("absent/").and_then(|name| name.strip_suffix(".c")) {
            Some(hook) if hooks(&world).contains(&hook) => {}
            Some(_) => absent.push_str(text),
            None => write(&scratch.join(name), text)?,
        }
    }
    write(&scratch.join("absent.c"), absent)?;
    Ok(world)
}

/// `build/go`: the module that is built, with the project's own files as its package `plugin`; gives the world.
///
/// # Errors
/// [`Error::Contract`], [`Error::Io`].
pub(crate) fn go(project: &Project) -> Result<World> {
    let world = world(project)?;
    let folder = project.scratch()?.join("go");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    }
    for (name, text) in embedded::below("bindings/go") {
        match name {
            "wit_exports.go" => write(&folder.join(name), go_exports(text, &hooks(&world)))?,
            name => write(&folder.join(name), text)?,
        }
    }
    for (name, text) in go_hooks(&world.resolve, world.world) {
        write(&folder.join(name), text)?;
    }
    if embedded::below("go-runtime").next().is_some() {
        let (_, needs) = embedded::below("bindings/go").find(|(name, _)| *name == "go.mod").unwrap_or_default();
        write(&folder.join("go.mod"), format!("{needs}\nreplace go.bytecodealliance.org/pkg => ./runtime\n"))?;
        write(&folder.join("runtime/go.mod"), "module go.bytecodealliance.org/pkg\n\ngo 1.25\n")?;
    }
    for (name, text) in embedded::below("go-runtime") {
        write(&folder.join("runtime/wit").join(name), text)?;
    }
    for file in project.sources(".", &["go"])? {
        write(&folder.join("plugin").join(file.file_name().unwrap_or_default()), crate::project::read(&file)?)?;
    }
    Ok(world)
}

/// Generated exports without those of hooks that the world has not. In the text, each exported function begins with
/// `//go:wasmexport NAME` and ends before the next.
fn go_exports(text: &str, hooks: &[&str]) -> String {
    const EXPORT: &str = "\n//go:wasmexport ";
    let mut parts = text.split(EXPORT);
    let head = parts.next().unwrap_or_default();
    let mut kept = String::new();
    for part in parts {
        // The last function has what follows it, and `main`, with it.
        let (function, rest) = part.find("\nfunc main()").map_or((part, ""), |at| part.split_at(at));
        let is_had = |hook: &str| {
            let interface = format!("tidegate:plugin/{hook}@");
            function.split('#').next().is_some_and(|name| name.trim_start_matches("cabi_post_").starts_with(&interface))
        };
        if hooks.iter().any(|hook| is_had(hook)) {
            let _infallible = write!(kept, "{EXPORT}{function}");
        }
        kept.push_str(rest);
    }
    // Go refuses imports that nothing uses.
    let is_used = |line: &&str| {
        let Some(path) = line.trim().split('"').nth(1) else { return true };
        let alias = line.trim().split('"').next().unwrap_or_default().trim();
        let name = if alias.is_empty() { path.rsplit('/').next().unwrap_or_default() } else { alias };
        kept.contains(&format!("{name}.")) || head.lines().any(|line| line.starts_with("var") && line.contains(name))
    };
    let head: Vec<&str> = head.lines().filter(is_used).collect();
    format!("{}\n{kept}", head.join("\n"))
}

/// The packages that the generated code calls, each function one of package `plugin`: `on-message` of
/// `messages` is `plugin.MessagesOnMessage`.
fn go_hooks(resolve: &Resolve, world: WorldId) -> Vec<(String, String)> {
    let Some(world) = resolve.worlds.get(world) else { return Vec::new() };
    let mut files = Vec::new();
    for item in world.exports.values() {
        let WorldItem::Interface { id, .. } = item else { continue };
        let Some(interface) = resolve.interfaces.get(*id) else { continue };
        let Some(of) = interface.package.and_then(|package| resolve.packages.get(package)) else { continue };
        let name = interface.name.clone().unwrap_or_default();
        let package = format!("export_{}_{}_{name}", of.name.namespace, of.name.name).replace('-', "_");
        let functions = interface.functions.keys().map(|function| {
            let own = camel(function);
            format!("\t{own} = plugin.{}{own}\n", camel(&name))
        });
        let functions: String = functions.collect();
        let text = format!("package {package}\n\nimport \"wit_component/plugin\"\n\nvar (\n{functions})\n");
        files.push((format!("{package}/hooks.go"), text));
    }
    files
}

/// `on-message` as `OnMessage`.
pub(crate) fn camel(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
    };
    name.split('-').map(capital).collect()
}

/// What an editor wants to see before the first build.
///
/// # Errors
/// [`Error::Contract`], [`Error::Io`].
pub(crate) fn for_editors(project: &Project) -> Result<()> {
    match project.language {
        Language::C | Language::Cpp | Language::Zig => c(project).map(drop),
        Language::Go => go(project).map(drop),
        Language::TypeScript => typescript::write(project),
        Language::Rust | Language::JavaScript | Language::Python | Language::AssemblyScript => Ok(()),
    }
}
