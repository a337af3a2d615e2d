//! [`run_engine`]: what the hidden subcommand of the launcher does, in the child process.

#![expect(unsafe_code, reason = "the engine is a C library; this module is all that touches it")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;

use super::EmbeddedError;
use super::locate::is_library;
use super::supervise::supervise;

/// The C function of `libchdb.so` that runs `clickhouse local`.
type QueryStableV2 = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;

/// Runs the engine until its work is done or this process's standard input ends.
///
/// `library` is a `libchdb.so`, which is loaded into this process and runs `clickhouse local` with `args`; or a
/// `clickhouse` binary, which is started with `args` and ended when the standard input ends.
///
/// # Errors
/// Where the engine cannot be loaded or started, or a binary ends by itself. What a query of a library says goes to
/// standard error.
pub fn run_engine(library: &Path, args: &[String]) -> Result<(), EmbeddedError> {
    if is_library(library) { load_and_run(library, args) } else { supervise(library, args) }
}

fn load_and_run(library: &Path, args: &[String]) -> Result<(), EmbeddedError> {
    let unloadable =
        |reason: String| EmbeddedError::Unloadable { library: library.to_owned(), reason: one_line(&reason) };
    let program = ["clickhouse".to_owned()];
    let args: Result<Vec<CString>, _> =
        program.iter().chain(args).map(|argument| CString::new(argument.as_str())).collect();
    let args = args.map_err(|error| unloadable(error.to_string()))?;
    let mut pointers: Vec<*mut c_char> = args.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len()).map_err(|error| unloadable(error.to_string()))?;
    // As in main's argv, a null pointer follows the last argument.
    pointers.push(std::ptr::null_mut());
    // SAFETY: the library is the pinned one, or the one that the user names; loading it runs its initialisers. The
    // function's type is the one that its header declares. The argument strings outlive the call, which does not keep
    // them; the result, which nobody looks at, is left to the end of the process.
    unsafe {
        let library = libloading::Library::new(library).map_err(|error| unloadable(error.to_string()))?;
        let query: libloading::Symbol<QueryStableV2> =
            library.get(c"query_stable_v2").map_err(|error| unloadable(error.to_string()))?;
        query(count, pointers.as_mut_ptr());
        // Its threads still run in it: it is never unloaded.
        std::mem::forget(library);
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
