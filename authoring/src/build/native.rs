//! C, C++ and Zig: over the C bindings, with wasi-libc, of which nothing is imported.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bindings;
use crate::component::{World, componentize_as, fit_exports};
use crate::error::Result;
use crate::project::{Project, read, write};
use crate::tool::{self, APT};

/// The oldest clang that knows what the flags below say.
const OLDEST: u32 = 14;
/// Newer ones than there are yet.
const NEWEST: u32 = 40;

/// A clang for wasm32, and where its libc is.
struct Clang {
    c: PathBuf,
    cpp: PathBuf,
    sysroot: PathBuf,
}

impl Clang {
    /// The WASI SDK's, where `WASI_SDK_PATH` names one; else the newest in `PATH` that has a linker, with
    /// Debian's wasi-libc.
    fn find(project: &Project, library: &str) -> Result<Self> {
        let install = format!("apt-get install --no-install-recommends {}", APT.join(" "));
        let has = |sysroot: &Path| sysroot.join("lib/wasm32-wasi").join(library).is_file();
        if let Some(sdk) = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from) {
            let found = Self {
                c: sdk.join("bin/clang"),
                cpp: sdk.join("bin/clang++"),
                sysroot: sdk.join("share/wasi-sysroot"),
            };
            if found.c.is_file() && has(&found.sysroot) {
                return Ok(found);
            }
            return Err(tool::missing(
                &format!("a clang with its libc in {} (WASI_SDK_PATH)", sdk.display()),
                &install,
            ));
        }
        let first = |name: String| tool::candidates(&project.folder, &[&name]).into_iter().next();
        let sysroot = PathBuf::from("/usr");
        let newest = (OLDEST..=NEWEST).rev().find_map(|version| {
            first(format!("wasm-ld-{version}"))?;
            Some((first(format!("clang-{version}"))?, first(format!("clang++-{version}"))?))
        });
        match newest {
            Some((c, cpp)) if has(&sysroot) => Ok(Self { c, cpp, sysroot }),
            Some(_) => Err(tool::missing(&format!("wasi-libc's {library}"), &install)),
            None => Err(tool::missing("clang with wasm-ld", &install)),
        }
    }

    /// A compiler with what both languages want.
    fn command(&self, program: &Path, scratch: &Path) -> Command {
        let mut command = Command::new(program);
        // Some clangs call this target's name deprecated, others do not know the new one.
        command.args(["--target=wasm32-wasi", "-O2", "-Wall", "-Wno-deprecated", "-I"]).arg(scratch);
        command.arg(format!("--sysroot={}", self.sysroot.display()));
        command
    }
}

const LINK: [&str; 2] = ["-mexec-model=reactor", "-Wl,--strip-all"];

/// The generated sources that every plugin has.
const GENERATED: [&str; 2] = ["plugin.c", "absent.c"];

fn component(core: &Path, world: &World) -> Result<Vec<u8>> {
    componentize_as(fit_exports(&read(core)?, world)?, world)
}

pub(super) fn c(project: &Project) -> Result<Vec<u8>> {
    let clang = Clang::find(project, "libc.a")?;
    let world = bindings::c(project)?;
    let scratch = project.scratch()?;
    let core = scratch.join("core.wasm");
    let mut command = clang.command(&clang.c, &scratch);
    command.args(LINK).args(project.sources("src", &["c"])?);
    command.args(GENERATED.map(|file| scratch.join(file))).arg("-o").arg(&core);
    tool::run(&mut command)?;
    component(&core, &world)
}

pub(super) fn cpp(project: &Project) -> Result<Vec<u8>> {
    let clang = Clang::find(project, "libc++.a")?;
    let world = bindings::c(project)?;
    let scratch = project.scratch()?;
    // They are C, and no C++.
    let mut objects = Vec::new();
    for file in GENERATED {
        let object = scratch.join(file).with_extension("o");
        let mut command = clang.command(&clang.c, &scratch);
        tool::run(command.arg("-c").arg(scratch.join(file)).arg("-o").arg(&object))?;
        objects.push(object);
    }
    let core = scratch.join("core.wasm");
    let mut command = clang.command(&clang.cpp, &scratch);
    command.args(LINK).args(["-std=c++20", "-fno-exceptions", "-fno-rtti"]);
    // Else a failed assertion of libc++ brings in all of stdio.
    command.arg("-D_LIBCPP_VERBOSE_ABORT(...)=__builtin_trap()");
    command.args(project.sources("src", &["cpp", "cc", "cxx"])?).args(objects).arg("-o").arg(&core);
    tool::run(&mut command)?;
    component(&core, &world)
}

pub(super) fn zig(project: &Project) -> Result<Vec<u8>> {
    let zig = tool::find(&project.folder, &["zig", "python-zig"], &tool::pip_install(&project.folder, "ziglang"))?;
    let world = bindings::c(project)?;
    let scratch = project.scratch()?;
    let mut translate = Command::new(&zig);
    translate.args(["translate-c", "-target", "wasm32-wasi", "-lc"]).arg(scratch.join("plugin.h"));
    let translated = scratch.join("plugin_h.zig");
    write(&translated, tool::run(&mut translate)?)?;
    let core = scratch.join("core.wasm");
    let mut build = Command::new(&zig);
    build.args(["build-exe", "-target", "wasm32-wasi", "-lc", "-mexec-model=reactor", "-fno-entry", "-OReleaseFast"]);
    // Without it 16 MiB are asked for the stack alone.
    build.args(["-fstrip", "--stack", "65536", "-I"]).arg(&scratch);
    build.args(GENERATED.map(|file| scratch.join(file)));
    build.args(["--dep", "c"]).arg(format!("-Mroot={}", project.path("src/plugin.zig").display()));
    build.arg(format!("-Mc={}", translated.display())).arg(format!("-femit-bin={}", core.display()));
    tool::run(&mut build)?;
    component(&core, &world)
}
