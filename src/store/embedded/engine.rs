//! The engine itself: `libchdb.so`, loaded at run time, running `clickhouse local` in this process.

#![expect(unsafe_code, reason = "the engine is a C library; this module is all that touches it")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;

use super::EmbeddedError;

/// Runs the engine of `library` with these arguments of `clickhouse local`, and returns when its last query ends.
///
/// # Errors
/// Where the library cannot be loaded or is not the engine.
pub fn run(library: &Path, arguments: &[String]) -> Result<(), EmbeddedError> {
    let unusable = |reason: String| EmbeddedError::NoSuchEngine { path: library.to_owned(), reason };
    let program = ["clickhouse".to_owned()];
    let arguments: Result<Vec<CString>, _> =
        program.iter().chain(arguments).map(|argument| CString::new(argument.as_str())).collect();
    let arguments = arguments.map_err(|error| unusable(error.to_string()))?;
    let mut pointers: Vec<*mut c_char> =
        arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len()).map_err(|error| unusable(error.to_string()))?;
    // SAFETY: the library is the pinned one, or the one that the user names; loading runs its initialisers. The
    // function's type is the one its header declares. The argument strings outlive the call, which does not keep
    // them, and the result, which we do not look at, is left to the process's end.
    unsafe {
        let library = libloading::Library::new(library).map_err(|error| unusable(error.to_string()))?;
        let query: libloading::Symbol<unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void> =
            library.get(c"query_stable_v2").map_err(|error| unusable(error.to_string()))?;
        query(count, pointers.as_mut_ptr());
        // Its threads still run in it: it is never unloaded.
        std::mem::forget(library);
    }
    Ok(())
}
