//! Types of the contract for TypeScript: each interface as the module that the JavaScript engine provides, and
//! the functions that a plugin exports as the interface `Hooks` of their module.

use std::fmt::Write as _;

use wit_parser::{Docs, Function, Handle, Interface, Resolve, Type, TypeDefKind, TypeId, WorldItem, WorldKey};

use crate::bindings::{camel, world};
use crate::component::World;
use crate::error::Result;
use crate::project::{self, Project};

/// Write `build/tidegate.d.ts`.
///
/// # Errors
/// What is wrong in `wit/`; the file cannot be written.
pub(crate) fn write(project: &Project) -> Result<()> {
    let text = declarations(&world(project)?);
    project::write(&project.scratch()?.join("tidegate.d.ts"), text)
}

fn declarations(world: &World) -> String {
    let resolve = &world.resolve;
    let mut text = String::from("// Made of wit/ by `tidegate plugin build`.\n");
    let Some(of) = resolve.worlds.get(world.world) else { return text };
    let imports = of.imports.iter().map(|item| (item, false));
    for ((key, item), exported) in imports.chain(of.exports.iter().map(|item| (item, true))) {
        let WorldItem::Interface { id, .. } = item else { continue };
        if let Some(interface) = resolve.interfaces.get(*id) {
            module(resolve, key, interface, exported, &mut text);
        }
    }
    text
}

fn module(resolve: &Resolve, key: &WorldKey, interface: &Interface, exported: bool, text: &mut String) {
    let mut out = Module { resolve, text: String::new() };
    for (name, id) in &interface.types {
        out.definition(name, *id);
    }
    if exported {
        out.docs(&interface.docs, "  ");
        out.line("  export interface Hooks {");
        for function in interface.functions.values() {
            out.docs(&function.docs, "    ");
            let signature = out.signature(function);
            out.line(&format!("    {signature};"));
        }
        out.line("  }");
    } else {
        for function in interface.functions.values() {
            out.docs(&function.docs, "  ");
            let signature = out.signature(function);
            out.line(&format!("  export function {signature};"));
        }
    }
    let _infallible = write!(text, "\ndeclare module '{}' {{\n{}}}\n", resolve.name_world_key(key), out.text);
}

struct Module<'a> {
    resolve: &'a Resolve,
    text: String,
}

impl Module<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn docs(&mut self, docs: &Docs, indent: &str) {
        let Some(said) = docs.contents.as_deref() else { return };
        let lines: Vec<&str> = said.trim().lines().collect();
        match lines.as_slice() {
            [] => {}
            [one] => self.line(&format!("{indent}/** {one} */")),
            more => {
                self.line(&format!("{indent}/**"));
                more.iter().for_each(|line| self.line(format!("{indent} * {line}").trim_end()));
                self.line(&format!("{indent} */"));
            }
        }
    }

    fn definition(&mut self, name: &str, id: TypeId) {
        let Some(definition) = self.resolve.types.get(id) else { return };
        let title = camel(name);
        self.docs(&definition.docs, "  ");
        match &definition.kind {
            TypeDefKind::Record(record) => {
                self.line(&format!("  export interface {title} {{"));
                for field in &record.fields {
                    self.docs(&field.docs, "    ");
                    let optional = if self.is_option(&field.ty) { "?" } else { "" };
                    let line = format!("    {}{optional}: {};", member(&field.name), self.name(&field.ty));
                    self.line(&line);
                }
                self.line("  }");
            }
            TypeDefKind::Variant(variant) => {
                self.line(&format!("  export type {title} ="));
                for case in &variant.cases {
                    self.docs(&case.docs, "    ");
                    let value = case.ty.as_ref().map(|ty| format!("; val: {}", self.name(ty))).unwrap_or_default();
                    self.line(&format!("    | {{ tag: '{}'{value} }}", case.name));
                }
                self.text.pop();
                self.line(";");
            }
            TypeDefKind::Enum(cases) => {
                let names: Vec<String> = cases.cases.iter().map(|case| format!("'{}'", case.name)).collect();
                self.line(&format!("  export type {title} = {};", names.join(" | ")));
            }
            TypeDefKind::Flags(flags) => {
                self.line(&format!("  export interface {title} {{"));
                for flag in &flags.flags {
                    self.docs(&flag.docs, "    ");
                    self.line(&format!("    {}?: boolean;", member(&flag.name)));
                }
                self.line("  }");
            }
            TypeDefKind::Type(Type::Id(of)) if self.is_foreign(*of, definition.owner) => {
                let line = format!("  export type {title} = {};", self.foreign(*of));
                self.line(&line);
            }
            kind => {
                let line = format!("  export type {title} = {};", self.kind(kind));
                self.line(&line);
            }
        }
    }

    fn signature(&self, function: &Function) -> String {
        let parameters = function.params.iter();
        let parameters: Vec<String> =
            parameters.map(|param| format!("{}: {}", member(&param.name), self.name(&param.ty))).collect();
        let result = function.result.as_ref().map_or_else(|| "void".to_owned(), |ty| self.returned(ty));
        format!("{}({}): {result}", member(&function.name), parameters.join(", "))
    }

    /// An error of a `result` is thrown.
    fn returned(&self, ty: &Type) -> String {
        if let Type::Id(id) = ty
            && let Some(TypeDefKind::Result(result)) = self.resolve.types.get(*id).map(|definition| &definition.kind)
        {
            return result.ok.as_ref().map_or_else(|| "void".to_owned(), |ok| self.name(ok));
        }
        self.name(ty)
    }

    fn is_option(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else { return false };
        matches!(self.resolve.types.get(*id).map(|definition| &definition.kind), Some(TypeDefKind::Option(_)))
    }

    fn is_foreign(&self, id: TypeId, here: wit_parser::TypeOwner) -> bool {
        self.resolve.types.get(id).is_some_and(|of| of.owner != here && of.name.is_some())
    }

    /// A type of another interface, named by its module.
    fn foreign(&self, id: TypeId) -> String {
        let Some(of) = self.resolve.types.get(id) else { return "never".to_owned() };
        let name = camel(of.name.as_deref().unwrap_or_default());
        let wit_parser::TypeOwner::Interface(interface) = of.owner else { return name };
        let module = self.resolve.id_of(interface).unwrap_or_default();
        format!("import('{module}').{name}")
    }

    fn name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "boolean".to_owned(),
            Type::U64 | Type::S64 => "bigint".to_owned(),
            Type::String | Type::Char => "string".to_owned(),
            Type::Id(id) => match self.resolve.types.get(*id) {
                Some(definition) => match &definition.name {
                    Some(name) => camel(name),
                    None => self.kind(&definition.kind),
                },
                None => "never".to_owned(),
            },
            _ => "number".to_owned(),
        }
    }

    fn kind(&self, kind: &TypeDefKind) -> String {
        match kind {
            TypeDefKind::Type(ty) => self.name(ty),
            TypeDefKind::Option(ty) => format!("{} | null | undefined", self.name(ty)),
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(ty) => format!("Array<{}>", self.name(ty)),
            TypeDefKind::Tuple(tuple) => {
                let items: Vec<String> = tuple.types.iter().map(|ty| self.name(ty)).collect();
                format!("[{}]", items.join(", "))
            }
            TypeDefKind::Result(result) => {
                let side = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "void".to_owned(), |ty| self.name(ty));
                format!("{{ tag: 'ok'; val: {} }} | {{ tag: 'err'; val: {} }}", side(&result.ok), side(&result.err))
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => self.name(&Type::Id(*id)),
            _ => "unknown".to_owned(),
        }
    }
}

/// `to-upstream` as `toUpstream`.
fn member(name: &str) -> String {
    let title = camel(name);
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_lowercase(), letters.as_str()))
}
